import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { decodeSegment } from '../../core/store/index.ts'
import { displayName } from '../args/replica-names.ts'
import { parseReplicaUrl } from '../args/replica-url.ts'
import { UsageError } from '../args/usage-error.ts'
import { shellWord } from '../output/format.ts'

/** Where a replica is restored to, or why it has no place. */
export type OutputPath =
  | { readonly path: string; readonly error?: undefined }
  | { readonly path?: undefined; readonly error: UsageError }

export interface OutputPathOptions {
  /** Absolute. */
  readonly folder: string
  /** As given with `-b`: the replica at the URL itself has the last part of it as its name. */
  readonly bucket: string
  readonly cwd: string
  /** Whether `A` and `a` are one file, as they usually are on macOS and Windows. */
  readonly foldsCase: boolean
}

/**
 * The file of each replica in a folder: its name with `.db` at the end, which is the inverse of how a
 * replica is named after its database. The folders of a nested name stay.
 *
 * A name that does not stay inside the folder is refused, and so are two that mean one file, also
 * by links that are there already.
 *
 * @param prefixes of replicas under the URL; empty text for the one at the URL itself
 * @returns one for each prefix, in their order
 */
export function outputPaths(
  prefixes: readonly string[],
  { folder, bucket, cwd, foldsCase }: OutputPathOptions,
): OutputPath[] {
  const reals = new Map<string, string>()
  const keyOf = (path: string) => {
    const at = dirname(path)
    const real = reals.get(at) ?? realPath(at)
    reals.set(at, real)
    const key = join(real, basename(path))
    return foldsCase ? key.normalize('NFC').toLowerCase() : key
  }
  const paths = prefixes.map((prefix) => {
    const parts = prefix === '' ? [lastPart(bucket, cwd)] : prefix.split('/').map(decodeSegment)
    return parts.every(isFileName) ? `${join(folder, ...parts)}.db` : undefined
  })
  const users = Map.groupBy(
    paths.flatMap((path) => path ?? []),
    keyOf,
  )
  return paths.map((path, i) => {
    const refuse = (why: string) => ({ error: refused(prefixes[i] as string, bucket, why) })
    if (path === undefined) return refuse('would leave the folder')
    if ((users.get(keyOf(path)) ?? []).length > 1) {
      return refuse(`would be written to ${path}, as would another one`)
    }
    const taken = foldersOf(path, folder).find((at) => users.has(keyOf(at.replace(SIDECAR, ''))))
    if (taken === undefined) return { path }
    return refuse(`needs the folder ${taken}, which is the file of another one`)
  })
}

function isFileName(part: string): boolean {
  return part !== '' && part !== '.' && part !== '..' && !/[/\\\0]/.test(part)
}

/** `app` of `s3://bucket/app?region=x`, and `bucket` of `s3://bucket`. */
function lastPart(bucket: string, cwd: string): string {
  const { pathname, host } = parseReplicaUrl(bucket, cwd)
  const last = pathname.split('/').findLast((part) => part !== '')
  try {
    return decodeURIComponent(last ?? host)
  } catch {
    return last ?? host
  }
}

/** A folder of this name makes a database unusable, as SQLite opens a file of this name with it. */
const SIDECAR = /-(?:wal|shm|journal)$/

/** Without links; what does not exist yet has none. */
function realPath(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    const parent = dirname(folder)
    return parent === folder ? folder : join(realPath(parent), basename(folder))
  }
}

/** The folders between a file and the folder that all files go to. */
function foldersOf(path: string, folder: string): string[] {
  const folders: string[] = []
  for (let at = dirname(path); at !== folder; at = dirname(at)) folders.push(at)
  return folders
}

function refused(prefix: string, bucket: string, why: string): UsageError {
  const name = displayName(prefix)
  return new UsageError(
    `The replica ${JSON.stringify(name)} ${why}.`,
    `Restore it by its name: walsync restore ${shellWord(name)} -b ${shellWord(bucket)} -o FILE`,
  )
}
