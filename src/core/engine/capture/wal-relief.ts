import { RetryPause } from '../../async/retry-pause.ts'
import { DatabaseError, type SourceDatabase, type WalChange } from '../../db/index.ts'
import { DurableWriteError } from '../../fs/index.ts'
import type { Emit, SpoolReason } from '../events.ts'
import { failureEvent } from '../events.ts'
import type { ReplicaWriter } from '../upload/replica-writer.ts'
import type { Spool } from '../upload/spool.ts'
import type { CheckpointPolicy } from './checkpoint-policy.ts'

/**
 * If an upload takes longer than this while the WAL is half full, it moves to the spool, in
 * milliseconds.
 */
const STUCK_MS = 1000
/**
 * How much WAL a checkpoint may read into memory, in bytes. More is first shipped straight from the
 * WAL.
 */
const MEMORY_TAIL_BYTES = 8 << 20
/**
 * How often to ship it first: if a writer is faster than the store, the WAL would never become
 * small enough.
 */
const MAX_PUT_OFF = 3

/**
 * Keeps the WAL of one database small, with checkpoints, and with the spool while the store is
 * unreachable. If the disk allows neither, changes are still captured and shipped.
 */
export class WalRelief {
  readonly #source: SourceDatabase
  readonly #checkpoints: CheckpointPolicy
  readonly #writer: ReplicaWriter
  readonly #maxWalBytes: number
  readonly #emit: Emit
  readonly #now: () => number
  readonly #limits: LimitReports
  #putOff = 0
  readonly #spooling: FailingStep
  readonly #checkpointing: FailingStep

  constructor(
    source: SourceDatabase,
    checkpoints: CheckpointPolicy,
    writer: ReplicaWriter,
    maxWalBytes: number,
    emit: Emit,
    now: () => number,
  ) {
    this.#source = source
    this.#now = now
    this.#checkpoints = checkpoints
    this.#writer = writer
    this.#maxWalBytes = maxWalBytes
    this.#emit = emit
    this.#limits = new LimitReports(emit)
    this.#spooling = new FailingStep((error, retryInMs) =>
      emit({ type: 'spool-failed', error, retryInMs }),
    )
    this.#checkpointing = new FailingStep((error, retryInMs) =>
      emit(failureEvent('checkpoint', error, retryInMs)),
    )
  }

  /** Runs a checkpoint if one is due. Everything captured must have been shipped. */
  async checkpoint(now: number): Promise<void> {
    if (this.#checkpointing.left(now) > 0) return
    if (!this.#checkpoints.due(now, this.#source.capture.walBytes())) return
    // A log that no longer belongs to the database must not be copied into the main file.
    if (this.#source.mismatch() !== undefined) return
    // The same attempt would be outpaced again, by a larger WAL.
    const { bytes, maxBytes } = this.#writer.spool
    const maySpool = this.#spooling.left(now) === 0 && bytes < maxBytes
    const mustSpool = this.#checkpoints.isOutpaced && maySpool
    if (this.#checkpoints.tailBytes() <= MEMORY_TAIL_BYTES && !mustSpool) {
      this.#putOff = 0
      const inMemory = (change: WalChange) => this.#writer.queueInMemory(this.#source, change, now)
      return await this.#run(now, inMemory, MEMORY_TAIL_BYTES)
    }
    this.#putOff += 1
    if (!mustSpool && (this.#putOff <= MAX_PUT_OFF || this.#spooling.left(now) > 0)) return
    await this.#spoolAhead(now, 'writer-ahead', async () => {})
  }

  /**
   * The store does not keep up: moves pending files and the rest of the WAL to the spool, so that
   * the WAL can restart.
   */
  async relieve(now: number, mayCheckpoint: boolean): Promise<void> {
    const writer = this.#writer
    const walBytes = this.#source.capture.walBytes()
    if (walBytes < this.#maxWalBytes / 2) {
      this.#limits.walIsSmall()
      return
    }
    if (!mayCheckpoint || writer.shipper.stuckFor(now) < STUCK_MS) return
    if (!this.#checkpoints.isPressing(now, walBytes))
      return this.#limits.walIsStuck(walBytes, this.#maxWalBytes)
    if (this.#limits.isSpoolFull(writer.spool, walBytes)) return
    if (this.#spooling.left(now) > 0 || this.#checkpointing.left(now) > 0) return
    if (this.#source.mismatch() !== undefined) return
    await this.#spoolAhead(now, 'store-behind', () => writer.spoolPending(this.#source))
  }

  async #spoolAhead(now: number, reason: SpoolReason, first: () => Promise<void>): Promise<void> {
    if (this.#writer.spool.bytes === 0) this.#limits.spoolIsEmpty()
    const keep = (change: WalChange) => this.#spool(change, now, reason)
    try {
      await first()
      // Only once: with a busy writer there would always be another frame. The guarded checkpoint
      // captures the rest.
      const change = await this.#source.capture.scan()
      if (change !== undefined) await keep(change)
      await this.#run(now, keep, Number.POSITIVE_INFINITY)
      this.#spooling.succeeded(this.#now())
    } catch (error) {
      // Changes stay queued in the WAL and in memory as before, and uploads continue.
      if (!(error instanceof DurableWriteError)) throw error
      this.#spooling.failed(this.#now(), error)
    }
  }

  async #spool(change: WalChange, now: number, reason: SpoolReason): Promise<void> {
    const txid = await this.#writer.queueInSpool(this.#source, change, now)
    const spoolBytes = this.#writer.spool.bytes
    const isFirst = this.#limits.isFirstInSpool(reason)
    this.#emit({ type: 'spooling', txid, spoolBytes, reason, isFirst })
  }

  async #run(
    now: number,
    keep: (change: WalChange) => Promise<void> | void,
    maxTailBytes: number,
  ): Promise<void> {
    try {
      const outcome = await this.#checkpoints.run(now, keep, maxTailBytes)
      this.#checkpointing.succeeded(this.#now())
      this.#emit({ type: 'checkpoint', ...outcome })
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code === 'ContinuityLost') throw error
      this.#checkpointing.failed(this.#now(), error)
    }
  }
}

/**
 * Reports only once, not at every check, that the WAL or the spool of a database has exceeded its
 * limit.
 */
class LimitReports {
  readonly #emit: Emit
  #overLimit = false
  #spoolFull = false
  readonly #spooled = new Set<SpoolReason>()

  constructor(emit: Emit) {
    this.#emit = emit
  }

  /** The WAL is small again. */
  walIsSmall(): void {
    this.#overLimit = false
  }

  /** The WAL cannot be checkpointed now. */
  walIsStuck(walBytes: number, maxWalBytes: number): void {
    if (walBytes < maxWalBytes || this.#overLimit) return
    this.#overLimit = true
    const reason = 'another connection holds a read or write transaction open'
    this.#emit({ type: 'wal-over-limit', walBytes, reason })
  }

  /** Everything that was in the spool is in the store. */
  spoolIsEmpty(): void {
    this.#spooled.clear()
  }

  /** Is this change the first one, for this reason, since the spool was empty? */
  isFirstInSpool(reason: SpoolReason): boolean {
    const isFirst = !this.#spooled.has(reason)
    this.#spooled.add(reason)
    return isFirst
  }

  /** Is there no room in the spool for this many more bytes? */
  isSpoolFull(spool: Spool, walBytes: number): boolean {
    const full = spool.bytes + walBytes > spool.maxBytes
    if (full && !this.#spoolFull) {
      this.#emit({ type: 'spool-full', spoolBytes: spool.bytes, maxBytes: spool.maxBytes })
    }
    this.#spoolFull = full
    return full
  }
}

/**
 * A step that may fail for hours, such as a write to a full disk: its failure is reported once
 * until it succeeds.
 */
class FailingStep {
  readonly #retry = new RetryPause()
  readonly #report: (error: unknown, retryInMs: number) => void

  constructor(report: (error: unknown, retryInMs: number) => void) {
    this.#report = report
  }

  /** Time until the next attempt, in milliseconds. */
  left(now: number): number {
    return this.#retry.left(now)
  }

  failed(now: number, error: unknown): void {
    const isFirst = this.#retry.failingSince === undefined
    const retryInMs = this.#retry.failed(now)
    if (isFirst) this.#report(error, retryInMs)
  }

  succeeded(now: number): void {
    this.#retry.succeeded(now)
  }
}
