import { NEVER } from '../../async/schedule.ts'
import type { DatabaseView, SourceDatabase } from '../../db/index.ts'
import type { TXID } from '../../ltx/index.ts'
import { txid as toTxid } from '../../ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../replica/replica-client.ts'
import { type ReplicaLayout, SNAPSHOT_LEVEL } from '../../replica/replica-layout.ts'
import { summarizeReplica } from '../../replica/summarize-replica.ts'
import type { ObjectStore } from '../../store/index.ts'
import { isStoreError } from '../../store/index.ts'
import { fullFile, type Stamp } from '../capture/ltx-file.ts'

/** When to take another full copy of a database. A copy that would add nothing is never taken. */
export interface SnapshotTriggers {
  /**
   * Time between two snapshots, in milliseconds, if anything has changed; 0 disables this trigger.
   * Default 24 hours.
   */
  readonly intervalMs: number
  /** After this many pages were shipped since the newest snapshot. */
  readonly afterPages?: number | undefined
  /** After this many bytes were shipped since the newest snapshot. */
  readonly afterBytes?: number | undefined
  /** When nothing was committed for this long, in milliseconds. */
  readonly onIdleMs?: number | undefined
  /** When replication starts. Default false. */
  readonly atStart?: boolean | undefined
}

export const DEFAULT_SNAPSHOT_TRIGGERS: SnapshotTriggers = { intervalMs: 24 * 3_600_000 }

export interface SnapshotResult {
  readonly txid: TXID
  readonly pages: number
  /** Size of the object; 0 if the snapshot already existed. */
  readonly bytes: number
}

export interface SnapshotProgress {
  readonly pagesRead: number
  readonly pagesTotal: number
}

export interface TakeOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined
}

/** How much the clocks of machines that write to one replica may differ, in milliseconds. */
const CLOCK_SLACK_MS = 1000

/**
 * Decides when a replica gets a snapshot, a full copy of its database at level 9, and takes it. A
 * snapshot that would add nothing is not taken: the interval starts at the newest one, and
 * something must have been replicated since.
 */
export class SnapshotPolicy {
  readonly #client: ReplicaClient
  readonly #triggers: SnapshotTriggers
  #newest: { readonly txid: TXID; at: number } | undefined
  /**
   * Shipped since the newest snapshot, as far as known: pages are counted from the start of the
   * process.
   */
  #pages = 0
  #bytes = 0
  #shippedAt: number
  #atStart: boolean
  #isBroken = false

  /**
   * @param store rooted at the replica's prefix
   * @param onStored called with each snapshot that is stored
   * @param startedAt when replication starts, in milliseconds since 1970. Default: now
   */
  constructor(
    store: ObjectStore,
    layout: ReplicaLayout,
    triggers: SnapshotTriggers,
    onStored?: (file: LtxFileInfo) => void,
    startedAt = Date.now(),
  ) {
    this.#client = new ReplicaClient(store, layout, { onStored })
    this.#triggers = triggers
    this.#shippedAt = startedAt
    this.#atStart = triggers.atStart === true
  }

  /** Learns which snapshots exist from a listing of the replica. */
  loadListing(files: readonly LtxFileInfo[]): void {
    for (const file of files) {
      if (file.level !== SNAPSHOT_LEVEL) continue
      if (this.#newest !== undefined && file.maxTxid <= this.#newest.txid) continue
      this.#newest = { txid: file.maxTxid, at: (file.createdAt ?? file.lastModified).getTime() }
    }
    const since = this.#newest?.txid ?? 0n
    const behind = files.filter(({ level, minTxid }) => level === 0 && minTxid > since)
    this.#bytes = behind.reduce((sum, { size }) => sum + size, 0)
  }

  /**
   * Without a chain to its newest TXID a replica cannot restore its newest states, so a snapshot is
   * due immediately, even if another process repairs the chain first: only a snapshot ends the
   * failure. Returns true if this was not known yet. A replica without files is new, or was
   * emptied if `isWritten`.
   */
  checkChain(files: readonly LtxFileInfo[], isWritten: boolean): boolean {
    const { newestTxid, restorable } = summarizeReplica(files)
    const isBroken = newestTxid === undefined ? isWritten : restorable?.to !== newestTxid
    const isNews = isBroken && !this.#isBroken
    this.#isBroken ||= isBroken
    return isNews
  }

  /** Records a change that is in the store. */
  shipped(pages: number, bytes: number, now: number): void {
    this.#pages += pages
    this.#bytes += bytes
    this.#shippedAt = now
  }

  /** TXID of the newest known snapshot. */
  get newest(): TXID | undefined {
    return this.#newest?.txid
  }

  /**
   * When the next snapshot is due if nothing more is shipped, as `Schedule.dueAt`.
   *
   * @param txid newest TXID of the replica
   */
  dueAt(now: number, txid: TXID | undefined): number {
    const newest = this.#newest
    if (txid !== undefined && this.#isBroken) return 0
    if (txid === undefined || newest === undefined || txid <= newest.txid) {
      return NEVER
    }
    // It was taken while the clock was ahead: the interval starts now, not in the future.
    if (newest.at > now + CLOCK_SLACK_MS) newest.at = now
    const { intervalMs, afterPages, afterBytes, onIdleMs } = this.#triggers
    if (this.#atStart || reached(this.#pages, afterPages) || reached(this.#bytes, afterBytes)) {
      return 0
    }
    return Math.min(
      intervalMs === 0 ? NEVER : newest.at + intervalMs,
      onIdleMs === undefined ? NEVER : this.#shippedAt + onIdleMs,
    )
  }

  /**
   * Stores `view`, which must be the replica's state at `txid`. Writers continue in the meantime;
   * only `advanceReadMark` must wait until the promise settles.
   *
   * @throws StoreError
   */
  async take(
    source: SourceDatabase,
    view: DatabaseView,
    txid: TXID,
    stamp: Stamp,
    { signal, onProgress }: TakeOptions = {},
  ): Promise<SnapshotResult> {
    const file = fullFile(source, view, { minTxid: toTxid(1), maxTxid: txid }, stamp, onProgress)
    const put = { createdAt: new Date(stamp.timestamp), signal }
    let bytes = 0
    try {
      bytes = (await this.#client.put(SNAPSHOT_LEVEL, file.header.minTxid, txid, file, put)).size
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
    }
    this.recordSnapshot(txid, stamp.timestamp)
    return { txid, pages: file.pages, bytes }
  }

  /** Records a snapshot that was stored in another way. */
  recordSnapshot(txid: TXID, at: number): void {
    this.#newest = { txid, at }
    this.#pages = 0
    this.#bytes = 0
    this.#atStart = false
    this.#isBroken = false
  }
}

function reached(count: number, limit: number | undefined): boolean {
  return limit !== undefined && count >= limit
}
