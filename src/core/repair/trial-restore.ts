import { SourceDatabase, whileBusy } from '../db/index.ts'
import {
  type DrillOptions,
  drillReplica,
  type RefusedDrill,
  type RestoredDrill,
} from '../drill/index.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import type { RestoreResult } from '../restore/restore.ts'
import { comparePages, type PageDifference } from './compare-pages.ts'
import { type LiveView, liveView } from './live-view.ts'

/** How a restored state compares with the live database. */
export type Comparison =
  | ({ readonly outcome: 'identical' } & PageDifference)
  | ({ readonly outcome: 'different' } & PageDifference)
  | { readonly outcome: 'not-compared'; readonly reason: string }

/** The result of restoring the newest state. */
export type TrialRestore =
  | (RestoredDrill & {
      /** `undefined` if there was no live database to compare with. */
      readonly comparison: Comparison | undefined
    })
  | RefusedDrill

export interface TrialOptions extends Omit<DrillOptions, 'target'> {
  /** The live database of the replica. */
  readonly database?: string | undefined
  /**
   * How long to wait for a running watcher to ship what the replica lacks, in milliseconds. Default
   * 5000.
   */
  readonly patienceMs?: number | undefined
}

/**
 * Restores the newest state to a scratch file, has SQLite check it, asks it the assertions, and with
 * `database` compares it page for page with the live one. The live database is held by a read mark meanwhile, so that its WAL
 * cannot be restarted; it goes on taking commits. Its SQLite connections stay open until the process
 * ends: the last one to close would delete the WAL.
 *
 * @throws DatabaseError for a live database that cannot be read
 * @throws RestoreError `NoReplica`, `NoSpace`, `NotWritable`, `WriteFailed`; StoreError
 */
export async function trialRestore(
  client: ReplicaClient,
  options: TrialOptions = {},
): Promise<TrialRestore> {
  const { database, patienceMs = 5000 } = options
  const signal = options.signal ?? new AbortController().signal
  const open = () => (database === undefined ? undefined : SourceDatabase.open(database))
  const source = await whileBusy(open, signal)
  try {
    const live = source && (await liveView(source, client, { patienceMs, signal }))
    const target =
      live?.txid === undefined
        ? ({ kind: 'latest' } as const)
        : ({ kind: 'txid', txid: live.txid } as const)
    return await drillReplica(client, { ...options, target }, async (path, result) => ({
      comparison:
        source && live ? await compare(source, live, path, result, signal) : emptySource(database),
    }))
  } finally {
    source?.guard.release()
  }
}

/**
 * Equal pages are proof in themselves, whatever is known about the position; different pages are
 * not.
 */
async function compare(
  source: SourceDatabase,
  live: LiveView,
  path: string,
  { pageSize }: RestoreResult,
  signal: AbortSignal,
): Promise<Comparison> {
  const difference = await comparePages(source, live.view, path, signal)
  if (difference.differing === 0) return { outcome: 'identical', ...difference }
  if (live.txid !== undefined) return { outcome: 'different', ...difference }
  const { differing, pages } = difference
  const how =
    pageSize === source.pageSize
      ? `${differing} of ${pages} pages differ`
      : `the page size is ${pageSize} bytes there and ${source.pageSize} here`
  return { outcome: 'not-compared', reason: `${live.reason}; ${how}` }
}

function emptySource(database: string | undefined): Comparison | undefined {
  if (database === undefined) return undefined
  return { outcome: 'not-compared', reason: 'the database is empty' }
}
