import { type RestoreTarget, renderTarget } from '../core/restore/restore-target.ts'
import { type ObjectStore, PrefixedStore } from '../core/store/index.ts'
import { LegacyError } from './legacy-error.ts'
import { gatherEvidence, type LegacyEvidence } from './legacy-evidence.ts'
import { type LegacyReplica, listLegacy } from './list-legacy.ts'
import type { ReadHistoryOptions } from './read-history.ts'

export interface LegacyReadOptions {
  /** Number of concurrent reads, each holding up to 2 MiB in memory. Default 8. */
  readonly parallelism?: number | undefined
  /** `bytesTotal` grows if a first plan fails, or if snapshots have to be compared. */
  readonly onProgress?:
    | ((progress: { readonly bytesDone: number; readonly bytesTotal: number }) => void)
    | undefined
  readonly signal?: AbortSignal | undefined
}

/** A replica of walsync 0.1 whose log has been read. */
export interface OpenedLegacy {
  /** Rooted at the database's prefix. */
  readonly store: ObjectStore
  readonly evidence: LegacyEvidence
  /** The requested time; `undefined` for the latest state. */
  readonly until: Date | undefined
  readonly read: ReadHistoryOptions
  bytesRead(): number
}

/**
 * Lists a replica of walsync 0.1 and reads its log.
 *
 * @param name Where the replica is in the store, without a slash at the end; empty for the root.
 * @throws LegacyError `NoTxids`, `NothingToRestore`, `TargetNotReachable`
 * @throws StoreError; the signal's reason
 */
export async function openLegacy(
  store: ObjectStore,
  name: string,
  target: RestoreTarget,
  options: LegacyReadOptions,
): Promise<OpenedLegacy> {
  const { parallelism = 8, onProgress, signal } = options
  if (!Number.isInteger(parallelism) || parallelism < 1) {
    throw new RangeError(`Expected \`parallelism\` to be a positive integer, got ${parallelism}.`)
  }
  if (target.kind === 'txid') throw noTxids()
  const until = target.kind === 'time' ? target.time : undefined
  const inside = name === '' ? store : new PrefixedStore(store, name)
  const replica = await listLegacy(inside, { signal })
  assertReachable(replica, target, until)
  const expected = replica.segments.reduce((sum, { size }) => sum + size, 0)
  let bytesDone = 0
  const onBytes = (bytes: number): void => {
    bytesDone += bytes
    onProgress?.({ bytesDone, bytesTotal: Math.max(2 * expected, bytesDone) })
  }
  const read = { parallelism, signal, onBytes }
  const evidence = await gatherEvidence(inside, replica, read)
  return { store: inside, evidence, until, read, bytesRead: () => bytesDone }
}

function assertReachable(
  { snapshots, segments }: LegacyReplica,
  target: RestoreTarget,
  until: Date | undefined,
): void {
  const times = [
    ...snapshots.map(({ storedAt, takenAt }) => Math.max(storedAt.getTime(), takenAt.getTime())),
    ...segments.map(({ uploadedAt }) => uploadedAt.getTime()),
  ]
  const first = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY)
  if (times.length === 0) throw nothing('There is neither a snapshot nor a WAL segment.')
  if (until === undefined || first <= until.getTime()) return
  throw new LegacyError(
    'TargetNotReachable',
    `The replica of walsync 0.1 does not go back to ${renderTarget(target)}: its first object dates from ${new Date(first).toISOString()}.`,
    'Choose a later time.',
  )
}

/** The error for a replica for which there is no plan. */
export function nothing(what: string): LegacyError {
  return new LegacyError(
    'NothingToRestore',
    `No database can be restored from this replica of walsync 0.1. ${what}`,
    'Look for another copy of the bucket, or for old versions of its objects if it keeps them.',
  )
}

function noTxids(): LegacyError {
  return new LegacyError(
    'NoTxids',
    'A replica of walsync 0.1 has no TXIDs.',
    'Omit --txid to restore the latest state, or use --point-in-time.',
  )
}
