import { RetryPause } from '../../async/retry-pause.ts'
import type { SourceDatabase } from '../../db/index.ts'
import { ReplicaError } from '../../replica/replica-client.ts'
import type { ReplicaHead } from '../../replica/replica-head.ts'
import { SNAPSHOT_LEVEL } from '../../replica/replica-layout.ts'
import { CHAIN_BROKEN, type Emit, FencedError, failureEvent } from '../events.ts'
import type { EngineLimits } from '../options.ts'
import type { ReplicaWriter } from '../upload/replica-writer.ts'
import type { SnapshotPolicy } from './snapshot-policy.ts'

export interface SnapshotRunParts {
  readonly writer: ReplicaWriter
  readonly policy: SnapshotPolicy
  readonly limits: Pick<EngineLimits, 'fullCopy'>
  readonly now: () => number
}

/** Takes the snapshots of one opened database, one at a time, while captures continue. */
export class SnapshotRun {
  readonly #source: SourceDatabase
  readonly #parts: SnapshotRunParts
  readonly #emit: Emit
  readonly #retry = new RetryPause({ patient: true })
  #running: Promise<void> | undefined
  /**
   * No existing snapshot can begin a restore to the latest state, so one is needed whatever the
   * policy says.
   */
  #isNeeded = false
  #fenced: FencedError | undefined

  constructor(source: SourceDatabase, parts: SnapshotRunParts, emit: Emit) {
    this.#source = source
    this.#parts = parts
    this.#emit = emit
  }

  /** A running snapshot reads the WAL, so the read mark must not move. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** The newer writer that was found when a snapshot was about to be stored. */
  get fenced(): FencedError | undefined {
    return this.#fenced
  }

  /** The store is reachable again: a snapshot that failed in the meantime need not wait. */
  retryNow(): void {
    this.#retry.retryNow()
  }

  /** Resolves when no snapshot is running. */
  async ended(): Promise<void> {
    await this.#running
  }

  /**
   * Finds out from a listing when the last snapshot was taken, and whether one is needed
   * immediately: Litestream and compaction cannot use a snapshot of another page size for the files
   * that follow it. In that case a base took its place, and the writer ended before it took the
   * snapshot that goes with it.
   *
   * @throws StoreError
   */
  async loadListing({ files, txid }: ReplicaHead, signal: AbortSignal): Promise<void> {
    const { policy, writer } = this.#parts
    policy.loadListing(files)
    if (policy.checkChain(files, false)) this.#emit({ type: 'chain-broken', reason: CHAIN_BROKEN })
    this.#isNeeded = false
    const newest = files.findLast(({ level }) => level === SNAPSHOT_LEVEL)
    if (newest === undefined || newest.maxTxid === txid) return
    try {
      const { pageSize } = await writer.client.readHeader(newest, { signal })
      this.#isNeeded = pageSize !== this.#source.pageSize
    } catch (error) {
      if (!(error instanceof ReplicaError)) throw error
      this.#isNeeded = true
    }
  }

  /**
   * Starts a snapshot if one is needed or the policy asks for it. Everything captured must have
   * been shipped.
   */
  start(now: number, signal: AbortSignal, onEnd: () => void): void {
    const { policy, writer } = this.#parts
    if (this.isRunning || this.#retry.left(now) > 0 || !this.#source.capture.isFullyCaptured) return
    const due = this.#isNeeded || policy.dueAt(now, writer.captured) <= now
    if (writer.captured === undefined || !due) return
    this.#running = this.#take(signal).finally(() => {
      this.#running = undefined
      onEnd()
    })
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { policy, writer, limits } = this.#parts
    const source = this.#source
    const { now } = this.#parts
    const startedAt = now()
    try {
      // All three are taken at one moment: captures continue while the snapshot waits for its turn.
      const [txid, stamp, viewing] = [writer.captured!, writer.stamp(), source.capture.view()]
      const view = await viewing
      const result = await limits.fullCopy.run(async () => {
        await writer.claim?.assertCurrent(signal)
        return await policy.take(source, view, txid, stamp, { signal })
      })
      this.#isNeeded = false
      this.#retry.succeeded(now())
      this.#emit({ type: 'snapshot', ms: now() - startedAt, ...result })
    } catch (error) {
      if (error instanceof FencedError) {
        this.#fenced = error
        return
      }
      const retryInMs = this.#retry.failed(now())
      this.#emit(failureEvent('snapshot', error, retryInMs))
    }
  }
}
