import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseError, enableWal, fileBehind } from '../../core/db/index.ts'
import { ReplicaClient } from '../../core/replica/replica-client.ts'
import { restoreReplica } from '../../core/restore/restore.ts'
import { displayName } from '../args/replica-names.ts'
import type { CommandContext } from '../command-context.ts'
import { OtherFormats } from '../commands/other-formats.ts'
import type { OtherReplica } from '../commands/other-replica.ts'
import { type OpenedStore, replicaStore } from '../composition/open-store.ts'
import { inspectFile } from './inspect-file.ts'
import type { WatchedDatabase } from './watched-database.ts'

/**
 * State of a database file after preparation: `present`, even if it is not (yet) a database that
 * can be replicated; `restored` from its replica; `absent`, with nothing to restore.
 */
export type PreparedFile =
  | { readonly kind: 'present' | 'absent' }
  | {
      readonly kind: 'restored'
      /** `undefined` for a replica of walsync 0.1, which has no TXIDs. */
      readonly txid: bigint | undefined
      /** Time of the restored state, if known. */
      readonly stateAt: Date | undefined
      readonly bytes: number
      readonly ms: number
    }

export interface PrepareOptions {
  /** Begin a new history if there is no database, whatever the replica holds. */
  readonly startFresh: boolean
  /** The application is started later, so that no process has an empty file open. */
  readonly ownsApplication: boolean
  /** Called with the number of bytes read so far and in total. */
  readonly onProgress: (done: number, total: number) => void
}

/**
 * Checks a database file before it is replicated. If there is none and its replica has states,
 * restores the newest one or refuses: a new history never replaces an old one unless that is
 * requested. This process must have no connection to the file.
 *
 * @throws DatabaseError `MissingFile` if there is no database, its replica has states, and the
 *   settings do not say what to do
 * @throws RestoreError, LegacyError for a replica that cannot be restored; nothing was written
 * @throws StoreError; the signal's reason
 */
export async function prepareDatabase(
  context: CommandContext,
  opened: OpenedStore,
  database: WatchedDatabase,
  options: PrepareOptions,
): Promise<PreparedFile> {
  const { path, settings } = database
  const { state } = inspectFile(path, () => false)
  if (state === 'not-wal' && settings.enableWal) switchToWal(context, path)
  if (state !== 'missing' && state !== 'empty') return { kind: 'present' }
  const found = options.startFresh ? undefined : await findReplica(context, opened, database)
  // A database may have been put in place while the store was answering; its log is not a leftover.
  const now = inspectFile(path, () => false).state
  if (now !== 'missing' && now !== 'empty') return { kind: 'present' }
  if (found === undefined) {
    if (options.ownsApplication) setLogAside(context, fileBehind(path))
    return { kind: 'absent' }
  }
  if (!settings.restoreIfMissing) throw undecided(database, state)
  if (state === 'empty' && !options.ownsApplication) throw emptyFile(database)
  return await restore(context, found, database, options)
}

type Found =
  | { readonly kind: 'ltx'; readonly client: ReplicaClient }
  | { readonly kind: 'other'; readonly replica: OtherReplica }

/** What to restore from; `undefined` for a replica without states. */
async function findReplica(
  context: CommandContext,
  opened: OpenedStore,
  { prefix, bucket, settings }: WatchedDatabase,
): Promise<Found | undefined> {
  // Opened as replication will use it, so that a replica in the other layout is refused before it
  // is restored.
  const store = replicaStore(opened, prefix, settings.singleWriter !== 'none')
  const client = new ReplicaClient(store, opened.layout)
  const files = await client.list({ signal: context.signal })
  if (files.length > 0) return { kind: 'ltx', client }
  const replica = await new OtherFormats(context, bucket, opened).find(displayName(prefix))
  return replica && { kind: 'other', replica }
}

async function restore(
  context: CommandContext,
  found: Found,
  { name, path }: WatchedDatabase,
  { onProgress }: PrepareOptions,
): Promise<PreparedFile> {
  const { logger, signal } = context
  const output = fileBehind(path)
  logger.info({ database: name, path }, 'the database is missing; restoring it from its replica')
  mkdirSync(dirname(output), { recursive: true })
  setLogAside(context, output)
  const options = {
    // Only an empty file can exist here.
    force: statSync(output, { throwIfNoEntry: false })?.size === 0 && ('empty' as const),
    signal,
    onProgress: (done: { readonly bytesDone: number; readonly bytesTotal: number }) =>
      onProgress(done.bytesDone, done.bytesTotal),
  }
  if (found.kind === 'other') {
    const { bytes, durationMs } = await found.replica.restoreComplete(output, options)
    return { kind: 'restored', txid: undefined, stateAt: undefined, bytes, ms: durationMs }
  }
  const result = await restoreReplica(found.client, { kind: 'latest' }, output, options)
  for (const { key, reason } of result.avoided) {
    logger.warn({ database: name, key }, `the replica needs repair: ${reason}`)
  }
  for (const warning of result.warnings) logger.warn({ database: name }, warning)
  const { plan, time: stateAt, bytes, durationMs: ms } = result
  return { kind: 'restored', txid: plan.txid, stateAt, bytes, ms }
}

/**
 * SQLite deletes a log that it finds next to a new database, or replays it into a restored one. The
 * log may hold commits that exist nowhere else, so it is renamed.
 */
function setLogAside({ logger }: CommandContext, path: string): void {
  const mark = randomBytes(4).toString('hex')
  for (const suffix of ['-wal', '-journal']) {
    const log = path + suffix
    const size = statSync(log, { throwIfNoEntry: false })?.size
    if (size === undefined) continue
    if (size === 0) {
      rmSync(log)
      continue
    }
    const aside = `${log}.${mark}.left-over`
    renameSync(log, aside)
    logger.warn({ path: aside }, `${log} was left without a database; it was renamed to ${aside}`)
  }
  rmSync(`${path}-shm`, { force: true })
}

function switchToWal({ logger }: CommandContext, path: string): void {
  const problem = enableWal(path)
  if (problem === undefined) logger.info({ path }, 'switched the database to WAL mode')
  else logger.warn({ path }, `the database could not be switched to WAL mode: ${problem}`)
}

function undecided({ path, replica }: WatchedDatabase, state: 'missing' | 'empty'): DatabaseError {
  const what = state === 'missing' ? `There is no database at ${path}` : `${path} is empty`
  return new DatabaseError('MissingFile', path, `${what}, and its replica ${replica} has states.`, {
    hint: 'Add --restore-if-missing to restore the newest state, or --start-fresh to begin a new history after the old one.',
  })
}

function emptyFile({ path, replica }: WatchedDatabase): DatabaseError {
  return new DatabaseError(
    'MissingFile',
    path,
    `${path} is empty, and its replica ${replica} has states. It was not restored, because an application may have the empty file open.`,
    {
      hint: 'Stop the application, delete the empty file and start again; or let walsync start the application (-- COMMAND).',
    },
  )
}
