import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import picomatch from 'picomatch'
import type { DatabasePlace } from '../config/config.ts'

/** What is at a place just now. */
export interface FoundFiles {
  /** Absolute, in the order of their names. */
  readonly files: readonly string[]
  /** The first folder that could not be read, other than by its absence. */
  readonly failure?: { readonly folder: string; readonly error: NodeJS.ErrnoException } | undefined
}

/**
 * The files that a place means. A path is itself, whether there is something or not. A glob or folder is what
 * matches now, without hidden files and without those that SQLite keeps beside a database
 * (`-wal`, `-shm`, `-journal`). Links to files count; a link to a folder is followed unless the depth is unbounded.
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
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      const within = inside === '' ? entry.name : `${inside}/${entry.name}`
      const kind = await kindOf(entry, path)
      const mayFollow = !entry.isSymbolicLink() || search.depth !== Number.POSITIVE_INFINITY
      if (kind === 'folder' && depth < search.depth && mayFollow) {
        await visit(path, within, depth + 1)
      } else if (kind === 'file' && !SIDECAR.test(entry.name) && search.matches(within)) {
        files.push(path)
      }
    }
  }
  await visit(place.base, '', 1)
  return { files, failure }
}

const SIDECAR = /-(?:wal|shm|journal)$/

interface Search {
  /** How many folders deep a file may be; 1: in the base itself. */
  readonly depth: number
  readonly matches: (path: string) => boolean
}

function searchOf(place: Exclude<DatabasePlace, { kind: 'path' }>): Search {
  if (place.kind === 'folder') {
    return { depth: place.recursive ? Number.POSITIVE_INFINITY : 1, matches: () => true }
  }
  const { pattern } = place
  const depth = pattern.includes('**') ? Number.POSITIVE_INFINITY : pattern.split('/').length
  return { depth, matches: picomatch(pattern) }
}

async function kindOf(entry: Dirent, path: string): Promise<'file' | 'folder' | 'other'> {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'folder'
  if (!entry.isSymbolicLink()) return 'other'
  try {
    const target = await stat(path)
    return target.isFile() ? 'file' : target.isDirectory() ? 'folder' : 'other'
  } catch {
    // A link to nothing is no file (yet).
    return 'other'
  }
}
