import { existsSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { MAX_REPLICA_DEPTH } from '../../core/replica/list-replicas.ts'
import { replicaName } from '../../core/replica/replica-layout.ts'
import { displayName, prefixOf } from './replica-names.ts'
import { UsageError } from './usage-error.ts'

/** A database on the command line and the name of its replica in the store. */
export interface NamedDatabase {
  /** The file name without its extension, as in walsync 0.1: `data/app.db` is `app`. */
  readonly name: string
  /** Where its replica stands under the URL, without a slash at the end. */
  readonly prefix: string
  /** Absolute; not resolved through symbolic links. */
  readonly path: string
}

/**
 * Gives each database the name under which it is replicated. Refuses, before anything is opened,
 * two that would mix in one replica, one file named twice, and a pattern that the shell left as it is
 * because no file matches.
 *
 * @param name `--name`, for a single database
 * @throws UsageError that names both paths, or the name that no replica can have
 * @throws StoreError `InvalidKey` for a file name that cannot be part of a key
 */
export function nameDatabases(
  paths: readonly string[],
  options: { readonly cwd: string; readonly name?: string | undefined },
): NamedDatabase[] {
  if (options.name !== undefined && paths.length > 1) {
    throw new UsageError(
      `--name got ${JSON.stringify(options.name)} for ${paths.length} databases.`,
      'Give --name with one database only.',
    )
  }
  const named = paths.map((path) => {
    refusePattern(path, resolve(options.cwd, path))
    const prefix = options.name === undefined ? replicaName(path) : chosenPrefix(options.name)
    return { name: displayName(prefix), prefix, path: resolve(options.cwd, path) }
  })
  refuseTwins(named)
  const [first, second] = firstClash(named, ({ prefix }) => prefix) ?? []
  if (first !== undefined && second !== undefined) {
    throw new UsageError(
      sharedReplica(first, second),
      'Watch them in two processes, with another -b or --name for one of them, or name them in a walsync.yml.',
    )
  }
  return named
}

/** @throws UsageError for `*.db`, unless there is a file of that name */
function refusePattern(given: string, path: string): void {
  if (!/[*?]/.test(given) || existsSync(path)) return
  throw new UsageError(
    `${JSON.stringify(given)} is a pattern, and not the name of a file.`,
    'Name the databases one by one, or write the pattern as a glob into a walsync.yml: it finds files that come later, too.',
  )
}

/** What `--name` gives. @throws UsageError for a name that `walsync list` would not find again */
function chosenPrefix(name: string): string {
  const prefix = prefixOf(name)
  const parts = prefix.split('/').length
  if (parts <= MAX_REPLICA_DEPTH) return prefix
  throw new UsageError(
    `The name ${JSON.stringify(name)} has ${parts} parts, and walsync list looks into ${MAX_REPLICA_DEPTH} only.`,
    'Give a shorter name, or write its first parts into the URL of -b.',
  )
}

/** @throws UsageError that names both paths, if two of them are one file */
export function refuseTwins(databases: readonly { readonly path: string }[]): void {
  const [first, twin] = firstClash(databases, ({ path }) => realPath(path)) ?? []
  if (first === undefined || twin === undefined) return
  throw new UsageError(
    `${first.path} and ${twin.path} are the same file.`,
    'Name each database once.',
  )
}

/** The first two of a list that have a key in common. */
export function firstClash<T>(list: readonly T[], keyOf: (item: T) => string): [T, T] | undefined {
  const seen = new Map<string, T>()
  for (const item of list) {
    const earlier = seen.get(keyOf(item))
    if (earlier !== undefined) return [earlier, item]
    seen.set(keyOf(item), item)
  }
  return undefined
}

export function sharedReplica(first: NamedDatabase, second: NamedDatabase): string {
  return `${first.path} and ${second.path} would both be replicated under the name "${first.name}".`
}

/** With links resolved. A file that cannot be reached keeps its own path: whoever opens it says what is wrong. */
export function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
