import { setTimeout as delay } from 'node:timers/promises'
import { RetryPause } from '../../async/retry-pause.ts'
import type { Checkpointer, SourceDatabase, WalChange } from '../../db/index.ts'
import { type WalPosition, walFrameOffset } from '../../wal/index.ts'

/** WAL pages from which a checkpoint is worth its two fsyncs: SQLite's own default. */
const MIN_PAGES = 1000
/** How long to wait for the write lock, in milliseconds. */
const LOCK_TIMEOUT_MS = 200
/** How long to wait for the application's own checkpoint to end, in milliseconds. */
const PASSIVE_TIMEOUT_MS = 200
/** What an application copies within a tenth of a second or so, in bytes. */
const LARGE_COPY_BYTES = 64 << 20
/** How long writers are kept out until the copying begins, in milliseconds. */
const BEGIN_TIMEOUT_MS = 100
/** How long to wait for the application's own checkpoint while the write lock is held, in milliseconds. */
const LOCKED_PASSIVE_TIMEOUT_MS = 50
/**
 * How much WAL may be left to capture before the write lock is taken, and once it is held, in bytes:
 * a few milliseconds' work.
 */
const LOCKED_TAIL: LockedTail = { before: 1 << 20, held: 4 << 20 }
/**
 * While the WAL exceeds its limit, this part of it may be left before the lock is taken, and twice as
 * much once it is held. A writer of 200 MB a second always leaves more than the above, so that the
 * WAL would grow for as long as it writes: the larger it is, the longer writers may have to wait.
 */
const OVER_LIMIT_PART = 1 / 8
/**
 * If more WAL than this is left, one more round captures it before the lock, in bytes. What remains
 * then was written within moments.
 */
const SHORT_TAIL_BYTES = 256 << 10
/**
 * Most rounds that capture the rest of the WAL before the lock; each leaves what was written
 * meanwhile.
 */
const MAX_ROUNDS = 8
const RETRY = { firstMs: 250, maxMs: 10_000, patient: true, jitter: false }

interface LockedTail {
  readonly before: number
  readonly held: number
}

export interface CheckpointOutcome {
  readonly walBytes: number
  /** All of the WAL was copied and the read mark released, so that the next writer restarts it. */
  readonly complete: boolean
  /** Whether writers were kept out for the last step. */
  readonly guarded: boolean
}

/**
 * Keeps the WAL bounded. Below half of the limit it does what is possible between two commits.
 * Above that, it keeps writers out for the few milliseconds that the last step takes, because under
 * constant writes there would never be room for that step. If the process is frozen in these
 * milliseconds it keeps the lock, so they should be few.
 */
export class CheckpointPolicy {
  readonly #source: SourceDatabase
  readonly #checkpointer: Checkpointer
  readonly #maxWalBytes: number
  /**
   * The pause after an attempt without success. Guarded and unguarded attempts have separate
   * pauses, so that a busy database does not delay its first guarded attempt.
   */
  readonly #easy = new RetryPause(RETRY)
  /** Position at which the log may already be restarted, so that there is nothing left to do. */
  #doneAt: WalPosition | undefined
  readonly #hard = new RetryPause(RETRY)
  #isOutpaced = false

  /** @param maxWalBytes the size that the WAL should not exceed */
  constructor(source: SourceDatabase, checkpointer: Checkpointer, maxWalBytes: number) {
    this.#source = source
    this.#checkpointer = checkpointer
    this.#maxWalBytes = maxWalBytes
  }

  /** WAL size from which syncs happen early, so that a checkpoint can follow. */
  get pressureBytes(): number {
    return this.#maxWalBytes / 4
  }

  /** WAL size from which writers are kept out for the last step. */
  get #guardedBytes(): number {
    return this.#maxWalBytes / 2
  }

  /** Did the last attempt end because more was written meanwhile than `keep` may be given? */
  get isOutpaced(): boolean {
    return this.#isOutpaced
  }

  /** Is the WAL so large that it must be shipped and checkpointed now? */
  isPressing(now: number, walBytes: number): boolean {
    if (this.#source.capture.position.wal === this.#doneAt) return false
    return walBytes >= this.pressureBytes && this.#pauseFor(walBytes).left(now) === 0
  }

  /** Is a checkpoint worthwhile? */
  isWorthwhile(walBytes: number): boolean {
    if (this.#source.capture.position.wal === this.#doneAt) return false
    return (
      walBytes >= Math.min(this.pressureBytes, walFrameOffset(MIN_PAGES, this.#source.pageSize))
    )
  }

  /** Is it worthwhile, and the pause after the last attempt over? */
  due(now: number, walBytes: number): boolean {
    return this.isWorthwhile(walBytes) && this.#pauseFor(walBytes).left(now) === 0
  }

  /**
   * Is there so much to copy that an application should not have to do it? Not with every small WAL:
   * a process that is frozen while it keeps writers out blocks them.
   */
  get wantsLargeCopy(): boolean {
    const { published, backfilled } = this.#source.guard.state()
    const bytes = walFrameOffset(published - backfilled, this.#source.pageSize)
    return bytes > Math.max(this.#maxWalBytes, LARGE_COPY_BYTES)
  }

  /** Size of the WAL that is committed but not captured, in bytes. */
  tailBytes(): number {
    const { capture, pageSize } = this.#source
    const walBytes = capture.walBytes()
    const captured = walFrameOffset(capture.position.wal.frame, pageSize)
    // Smaller than what was captured: a new run of the log.
    return walBytes < captured ? walBytes : walBytes - captured
  }

  /**
   * Copies the WAL into the database as far as read marks allow, and lets it restart if everything
   * was copied and captured. Nothing before the capture's position may still be needed from the
   * WAL.
   *
   * @param keep stores a further change outside the WAL at once, and advances the capture
   * @param maxTailBytes how much WAL `keep` may be given; if there is more, the log is not
   *   restarted
   */
  async run(
    now: number,
    keep: (change: WalChange) => Promise<void> | void,
    maxTailBytes: number,
  ): Promise<CheckpointOutcome> {
    const { capture } = this.#source
    const walBytes = capture.walBytes()
    const guarded = walBytes >= this.#guardedBytes
    this.#isOutpaced = false
    const complete = guarded ? await this.#guarded(keep, maxTailBytes) : await this.#unguarded()
    const pause = this.#pauseFor(walBytes)
    if (complete) pause.succeeded(now)
    else pause.failed(now)
    this.#doneAt = complete ? capture.position.wal : undefined
    return { walBytes, complete, guarded }
  }

  #pauseFor(walBytes: number): RetryPause {
    return walBytes >= this.#guardedBytes ? this.#hard : this.#easy
  }

  async #unguarded(): Promise<boolean> {
    await this.#checkpointer.ready(this.#source.path)
    if (!this.#source.capture.advanceReadMark()) return false
    await this.#checkpointer.passive(this.#source.path, PASSIVE_TIMEOUT_MS)
    return this.#releaseLog()
  }

  async #guarded(
    keep: (change: WalChange) => Promise<void> | void,
    maxTailBytes: number,
  ): Promise<boolean> {
    const { capture, file, path } = this.#source
    // Most of it is synced and copied while writers continue, so that the lock is held only for the
    // rest.
    await this.#checkpointer.ready(path)
    // The application may be copying everything: its writers should not wait for a lock as well.
    if (!(await this.#copyMost())) return false
    // Nothing was committed in between: no lock is needed.
    if (this.#releaseLog()) return true
    await file.flush()
    for (let round = 0; this.tailBytes() > this.#lockedTail().before; round++) {
      this.#isOutpaced = this.tailBytes() > maxTailBytes
      const mayKeep = round < MAX_ROUNDS && !this.#isOutpaced
      const change = mayKeep ? await capture.scan() : undefined
      if (change === undefined) return false
      await keep(change)
      if (!capture.advanceReadMark()) continue
      await this.#checkpointer.passive(path, PASSIVE_TIMEOUT_MS)
      await file.flush()
    }
    if (this.tailBytes() > SHORT_TAIL_BYTES && this.tailBytes() <= maxTailBytes) {
      const change = await capture.scan()
      if (change !== undefined) await keep(change)
    }
    if (!(await this.#checkpointer.lock(path, LOCK_TIMEOUT_MS))) return false
    try {
      if (this.tailBytes() > this.#lockedTail().held) return false
      for (let change = await capture.scan(); change !== undefined; change = await capture.scan()) {
        await keep(change)
      }
      if (!capture.advanceReadMark()) return false
      await this.#checkpointer.passive(path, LOCKED_PASSIVE_TIMEOUT_MS)
      return this.#releaseLog()
    } finally {
      await this.#checkpointer.unlock(path)
    }
  }

  #lockedTail(): LockedTail {
    const walBytes = this.#source.capture.walBytes()
    if (walBytes < this.#maxWalBytes) return LOCKED_TAIL
    const before = Math.max(LOCKED_TAIL.before, walBytes * OVER_LIMIT_PART)
    return { before, held: Math.max(LOCKED_TAIL.held, 2 * before) }
  }

  /**
   * Moves the read mark and copies, while writers continue. An application's own checkpoint that
   * comes between the two copies everything, and its writer waits for that: half a second for 600 MB.
   * So writers are kept out until the copying has begun, if there is much of it.
   *
   * @returns false if another checkpoint is running
   */
  async #copyMost(): Promise<boolean> {
    const { capture, guard, path } = this.#source
    const isLocked = this.wantsLargeCopy && (await this.#advanceWithLock())
    if (!isLocked) {
      capture.advanceReadMark()
      return await this.#checkpointer.passive(path, PASSIVE_TIMEOUT_MS)
    }
    let isOver = false
    let copied: Promise<boolean>
    try {
      const before = guard.index.copying()
      copied = this.#checkpointer.passive(path, PASSIVE_TIMEOUT_MS).finally(() => {
        isOver = true
      })
      // Rejects when it is awaited below.
      copied.catch(() => {})
      const until = performance.now() + BEGIN_TIMEOUT_MS
      while (!isOver && guard.index.copying() === before && performance.now() < until) {
        await delay(1)
      }
    } finally {
      guard.unlock()
    }
    return await copied
  }

  /** Moves the read mark with the write lock held. False if that is not possible within the usual time. */
  async #advanceWithLock(): Promise<boolean> {
    const { capture, guard } = this.#source
    const until = performance.now() + LOCK_TIMEOUT_MS
    try {
      while (!capture.advanceReadMark(() => guard.takeWithLock())) {
        if (performance.now() > until) return false
        await delay(1)
      }
      return true
    } catch (error) {
      guard.unlock()
      throw error
    }
  }

  #releaseLog(): boolean {
    const { capture, guard } = this.#source
    const { published, backfilled } = guard.state()
    if (published !== backfilled || published !== capture.position.wal.frame) return false
    return capture.advanceReadMark()
  }
}
