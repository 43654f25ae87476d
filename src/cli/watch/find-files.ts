import type { Dirent, Stats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import picomatch from 'picomatch'
import type { DatabasePlace } from '../config/config.ts'

/** The files that a place currently refers to. */
export interface FoundFiles {
  /** Absolute, in the order of their names. */
  readonly files: readonly string[]
  /** The first folder that exists but could not be read. */
  readonly failure?: { readonly folder: string; readonly error: NodeJS.ErrnoException } | undefined
}

/**
 * The files that a place refers to. A path refers to itself, whether or not the file exists. A glob
 * or folder refers to what matches now, without hidden files and without those that SQLite keeps
 * next to a database (`-wal`, `-shm`, `-journal`). Links to files count; a link to a folder is
 * followed unless the depth is unlimited.
 */
export async function findFiles(place: DatabasePlace, signal: AbortSignal): Promise<FoundFiles> {
  if (place.kind === 'path') return { files: [place.path] }
  const search = searchOf(place)
  const files: string[] = []
  let failure: FoundFiles['failure']
  const visit = async (folder: string, inside: string, depth: number): Promise<void> => {
    signal.throwIfAborted()
    let entries: Dirent[]
    try {
      entries = await readdir(folder, { withFileTypes: true })
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') failure ??= { folder, error }
      return
    }
    for (const entry of entries) {
      const { name } = entry
      if (name.startsWith('.') || SIDECAR.test(name)) continue
      const isLink = entry.isSymbolicLink()
      const within = inside === '' ? name : `${inside}/${name}`
      const kind = isLink ? await kindOfTarget(join(folder, name)) : kindOf(entry)
      if (kind === 'file') {
        if (search.matches(within)) files.push(join(folder, name))
      } else if (kind === 'folder' && depth < search.depth && !(isLink && search.isUnbounded)) {
        await visit(join(folder, name), within, depth + 1)
      }
    }
  }
  await visit(place.base, '', 1)
  return { files: files.sort(), failure }
}

const SIDECAR = /-(?:wal|shm|journal)$/

interface Search {
  /** How many folders deep a file may be; 1: in the base itself. */
  readonly depth: number
  /** At unlimited depth a link to a folder could lead in circles. */
  readonly isUnbounded: boolean
  readonly matches: (path: string) => boolean
}

function searchOf(place: Exclude<DatabasePlace, { kind: 'path' }>): Search {
  const isUnbounded = place.kind === 'folder' ? place.recursive : place.pattern.includes('**')
  const depth = place.kind === 'folder' ? 1 : place.pattern.split('/').length
  return {
    depth: isUnbounded ? Number.POSITIVE_INFINITY : depth,
    isUnbounded,
    matches: place.kind === 'folder' ? () => true : picomatch(place.pattern),
  }
}

type Kind = 'file' | 'folder' | 'other'

function kindOf(entry: Dirent | Stats): Kind {
  return entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other'
}

async function kindOfTarget(path: string): Promise<Kind> {
  try {
    return kindOf(await stat(path))
  } catch {
    // A dangling link is not a file (yet).
    return 'other'
  }
}
