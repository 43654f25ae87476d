import { MAX_REPLICA_DEPTH } from '../../core/replica/list-replicas.ts'
import { realPath, refuseTwins, sharedReplica } from '../database-names.ts'
import { displayName } from '../replica-names.ts'
import { UsageError } from '../usage-error.ts'
import type { WantedDatabase } from './fleet.ts'
import type { WatchSource } from './watch-plan.ts'
import { watchedDatabase } from './watched-database.ts'

/** A file that matches and is not watched, and why. */
export interface RefusedFile {
  readonly path: string
  readonly reason: string
}

export interface ResolvedDatabases {
  readonly databases: readonly WantedDatabase[]
  readonly refused: readonly RefusedFile[]
}

/** A source and its files, as they were found just now. */
export interface SourceFiles {
  readonly source: WatchSource
  readonly files: readonly string[]
}

/**
 * Gives every file one source and one replica. A file that is named by its path belongs to that
 * entry; of globs and folders the first in the file has it. Of two that would share a replica the
 * one that is replicated already keeps it, else the first; the other is refused.
 *
 * @param isRunning is that file replicated now?
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
  const databases: WantedDatabase[] = []
  const refused: RefusedFile[] = []
  for (const { source, files } of [...named, ...found.filter((entry) => !isPath(entry))]) {
    for (const path of files) {
      const real = realPath(path)
      if (taken.has(real)) continue
      taken.add(real)
      try {
        const database = watchedDatabase(source, path, cwd)
        const parts = database.prefix.split('/').length
        if (parts <= MAX_REPLICA_DEPTH) databases.push({ database, kind: source.where.kind })
        else refused.push({ path, reason: tooDeep(database.path, database.prefix, parts) })
      } catch (error) {
        refused.push({ path, reason: (error as Error).message })
      }
    }
  }
  const order = [
    ...databases.filter(({ database }) => isRunning(database.path)),
    ...databases.filter(({ database }) => !isRunning(database.path)),
  ]
  const accepted = new Map<string, WantedDatabase>()
  for (const wanted of order) {
    const { database } = wanted
    const other = accepted.get(database.replica)
    if (other === undefined) accepted.set(database.replica, wanted)
    else refused.push({ path: database.path, reason: sharedReplica(other.database, database) })
  }
  return { databases: withoutNested([...accepted.values()], refused), refused }
}

function tooDeep(path: string, prefix: string, parts: number): string {
  return `${path} would be replicated as "${displayName(prefix)}", of whose ${parts} parts walsync list looks into ${MAX_REPLICA_DEPTH} only.`
}

/** @throws UsageError for the first file that would not be watched */
export function refuseConflicts({ refused }: ResolvedDatabases): void {
  const [first] = refused
  if (first === undefined) return
  throw new UsageError(
    first.reason,
    'give one of them a name or a prefix of its own, or another bucket',
    { details: refused.slice(1).map(({ reason }) => reason) },
  )
}

/** Folders that a replica has in itself: its levels, in both layouts, and what walsync keeps beside them. */
const OWN_FOLDERS = /^(?:ltx|walsync|[0-9a-f]{4})$/

/** A replica inside another's own folders would be taken for a part of it. */
function withoutNested(wanted: WantedDatabase[], refused: RefusedFile[]): WantedDatabase[] {
  const byReplica = new Map(wanted.map(({ database }) => [database.replica, database]))
  return wanted.filter(({ database }) => {
    const parts = database.replica.split('/')
    const outer = parts.flatMap((part, i) => {
      if (!OWN_FOLDERS.test(part)) return []
      return byReplica.get(parts.slice(0, i).join('/')) ?? []
    })[0]
    if (outer === undefined) return true
    const reason = `The replica of ${database.path} would stand inside that of ${outer.path}.`
    refused.push({ path: database.path, reason })
    return false
  })
}
