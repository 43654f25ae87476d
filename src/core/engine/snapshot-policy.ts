import type { DatabaseView, SourceDatabase } from '../db/index.ts'
import type { TXID } from '../ltx/index.ts'
import { txid as toTxid } from '../ltx/index.ts'
import type { SnapshotTriggers } from '../policy/snapshot-triggers.ts'
import { type LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import { type ReplicaLayout, SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import type { ObjectStore } from '../store/index.ts'
import { isStoreError } from '../store/index.ts'
import { fullFile, type Stamp } from './ltx-file.ts'

export interface SnapshotResult {
  readonly txid: TXID
  readonly pages: number
  /** Size of the object; 0 if the snapshot was there already. */
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

/**
 * When a replica gets a full copy of its database (level 9), and the taking of it. A snapshot that
 * would add nothing is not taken: the interval counts from the newest one, and something must have
 * been replicated since.
 */
export class SnapshotPolicy {
  readonly #client: ReplicaClient
  readonly #intervalMs: number
  #newest: { readonly txid: TXID; readonly at: number } | undefined

  /** @param store rooted at the replica's prefix */
  constructor(store: ObjectStore, layout: ReplicaLayout, triggers: SnapshotTriggers) {
    this.#client = new ReplicaClient(store, layout)
    this.#intervalMs = triggers.intervalMs
  }

  /** Learns which snapshots exist from a listing of the replica. */
  observe(files: readonly LtxFileInfo[]): void {
    for (const file of files) {
      if (file.level !== SNAPSHOT_LEVEL) continue
      if (this.#newest !== undefined && file.maxTxid <= this.#newest.txid) continue
      this.#newest = { txid: file.maxTxid, at: (file.createdAt ?? file.lastModified).getTime() }
    }
  }

  /** TXID of the newest snapshot known. */
  get newest(): TXID | undefined {
    return this.#newest?.txid
  }

  /** Is it time, with the replica at `txid`? */
  due(now: number, txid: TXID | undefined): boolean {
    if (txid === undefined || this.#newest === undefined) return false
    if (this.#intervalMs === 0 || txid <= this.#newest.txid) return false
    return now - this.#newest.at >= this.#intervalMs
  }

  /**
   * Stores `view`, which must be what the replica has at `txid`. Writers go on meanwhile; only
   * `hold` must wait until the promise settles.
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
    this.taken(txid, stamp.timestamp)
    return { txid, pages: file.pages, bytes }
  }

  /** Counts a snapshot stored by other means. */
  taken(txid: TXID, at: number): void {
    this.#newest = { txid, at }
  }
}
