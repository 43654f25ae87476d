import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { replicaName } from '../core/replica/replica-layout.ts'
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
 * two that would mix in one replica, and one file named twice.
 *
 * @param name `--name`, for a single database
 * @throws UsageError that names both paths
 * @throws StoreError `InvalidKey` for a name that cannot be part of a key
 */
export function nameDatabases(
  paths: readonly string[],
  options: { readonly cwd: string; readonly name?: string | undefined },
): NamedDatabase[] {
  if (options.name !== undefined && paths.length > 1) {
    throw new UsageError(
      `--name got ${JSON.stringify(options.name)} for ${paths.length} databases.`,
      'give --name with one database only',
    )
  }
  const named = paths.map((path) => {
    const prefix = options.name === undefined ? replicaName(path) : prefixOf(options.name)
    return { name: displayName(prefix), prefix, path: resolve(options.cwd, path) }
  })
  const [sameFile, twin] = firstClash(named, ({ path }) => realPath(path)) ?? []
  if (sameFile !== undefined && twin !== undefined) {
    throw new UsageError(
      `${sameFile.path} and ${twin.path} are the same file.`,
      'name each database once',
    )
  }
  const [first, second] = firstClash(named, ({ prefix }) => prefix) ?? []
  if (first !== undefined && second !== undefined) {
    throw new UsageError(
      `${first.path} and ${second.path} would both be replicated under the name "${first.name}".`,
      'watch them in two processes, with another -b or --name for one of them',
    )
  }
  return named
}

function firstClash(
  databases: readonly NamedDatabase[],
  keyOf: (database: NamedDatabase) => string,
): [NamedDatabase, NamedDatabase] | undefined {
  const seen = new Map<string, NamedDatabase>()
  for (const database of databases) {
    const earlier = seen.get(keyOf(database))
    if (earlier !== undefined) return [earlier, database]
    seen.set(keyOf(database), database)
  }
  return undefined
}

/** A missing file keeps its own path: the engine says what is wrong with it. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return path
    throw error
  }
}
