import { MAX_REPLICA_DEPTH } from '../../core/replica/list-replicas.ts'
import { realPath, refuseTwins, sharedReplica } from '../args/database-names.ts'
import { displayName } from '../args/replica-names.ts'
import { UsageError } from '../args/usage-error.ts'
import type { DatabasePlace } from '../config/config.ts'
import type { WatchSource } from './watch-plan.ts'
import { type WatchedDatabase, watchedDatabase } from './watched-database.ts'

/** A database that should be replicated, and how its file was found. */
export interface WantedDatabase {
  readonly database: WatchedDatabase
  readonly kind: DatabasePlace['kind']
}

/** A file that matches but is not replicated, and why. */
export interface RefusedFile {
  readonly path: string
  readonly reason: string
  readonly kind: DatabasePlace['kind']
}

export interface ResolvedDatabases {
  readonly databases: readonly WantedDatabase[]
  readonly refused: readonly RefusedFile[]
}

/** A source and the files that were just found for it. */
export interface SourceFiles {
  readonly source: WatchSource
  readonly files: readonly string[]
}

/**
 * Assigns one source and one replica to every file. A file that is named by its path belongs to
 * that entry; otherwise it belongs to the first glob or folder of the configuration that matches.
 * Of several files that would share a replica, the one that is already replicated keeps it, or else
 * the one that is named by its path. Otherwise none gets it, because after a restart it would be
 * unknown to which of them the replica belongs.
 *
 * @param isRunning is that file being replicated now?
 * @throws UsageError if two entries name one file by its path
 */
export function resolveDatabases(
  found: readonly SourceFiles[],
  cwd: string,
  isRunning: (path: string) => boolean = () => false,
): ResolvedDatabases {
  const isPath = ({ source }: SourceFiles) => source.where.kind === 'path'
  const named = found.filter(isPath)
  refuseTwins(named.flatMap(({ files }) => files.map((path) => ({ path }))))
  const taken = new Set<string>()
  const wanted: WantedDatabase[] = []
  const refused: RefusedFile[] = []
  for (const { source, files } of [...named, ...found.filter((entry) => !isPath(entry))]) {
    const { kind } = source.where
    for (const path of files) {
      const real = realPath(path)
      if (taken.has(real)) continue
      taken.add(real)
      const database = databaseOf(source, path, cwd)
      if (typeof database === 'string') refused.push({ path, kind, reason: database })
      else wanted.push({ database, kind })
    }
  }
  return { databases: withoutNested(withoutShared(wanted, isRunning, refused), refused), refused }
}

/** @throws UsageError if a database that the configuration names by its path would not be replicated */
export function refuseConflicts({ refused }: ResolvedDatabases): void {
  const [first, ...others] = refused.filter(({ kind }) => kind === 'path')
  if (first === undefined) return
  const details = others.map(({ reason }) => reason).filter((reason) => reason !== first.reason)
  throw new UsageError(
    first.reason,
    'Give one of them its own name or prefix, or another bucket.',
    { details: [...new Set(details)] },
  )
}

/** The database, or why it cannot have a replica. */
function databaseOf(source: WatchSource, path: string, cwd: string): WatchedDatabase | string {
  try {
    const database = watchedDatabase(source, path, cwd)
    const parts = database.prefix.split('/').length
    if (parts <= MAX_REPLICA_DEPTH) return database
    return `${path} would be replicated as "${displayName(database.prefix)}", of whose ${parts} parts walsync list looks into ${MAX_REPLICA_DEPTH} only.`
  } catch (error) {
    return (error as Error).message
  }
}

function withoutShared(
  wanted: readonly WantedDatabase[],
  isRunning: (path: string) => boolean,
  refused: RefusedFile[],
): WantedDatabase[] {
  const groups = Map.groupBy(wanted, ({ database }) => database.replica)
  return [...groups.values()].flatMap((group) => {
    const [only, second] = group
    if (only === undefined || second === undefined) return group
    const paths = group.filter(({ kind }) => kind === 'path')
    const keeper =
      group.find(({ database }) => isRunning(database.path)) ??
      (paths.length === 1 ? paths[0] : undefined)
    for (const { database, kind } of group) {
      if (database === keeper?.database) continue
      const other = keeper ?? (database === only.database ? second : only)
      const pair =
        database === only.database ? [database, other.database] : [other.database, database]
      const [a, b] = pair as [WatchedDatabase, WatchedDatabase]
      refused.push({ path: database.path, kind, reason: sharedReplica(a, b) })
    }
    return keeper === undefined ? [] : [keeper]
  })
}

/** Folders inside a replica: its levels, in both layouts, and walsync's own folder. */
const OWN_FOLDERS = /^(?:ltx|walsync|[0-9a-f]{4})$/

/** A replica inside the folders of another would be mistaken for a part of it. */
function withoutNested(wanted: WantedDatabase[], refused: RefusedFile[]): WantedDatabase[] {
  const byReplica = new Map(wanted.map(({ database }) => [database.replica, database]))
  return wanted.filter(({ database, kind }) => {
    const parts = database.replica.split('/')
    const outer = parts.flatMap((part, i) => {
      if (!OWN_FOLDERS.test(part)) return []
      return byReplica.get(parts.slice(0, i).join('/')) ?? []
    })[0]
    if (outer === undefined) return true
    const reason = `The replica of ${database.path} would be inside that of ${outer.path}.`
    refused.push({ path: database.path, kind, reason })
    return false
  })
}
