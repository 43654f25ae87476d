import { Deadline } from '../async/deadline.ts'
import type { Wakeup } from '../async/wakeup.ts'
import { DatabaseError, type FileMismatch, whileBusy } from '../db/index.ts'
import { BUSY_TICK_MS } from './capture/sync-pace.ts'
import type { SyncWaiters } from './capture/sync-waiters.ts'
import type { DatabaseLifecycle } from './database-lifecycle.ts'
import type { DatabaseReplicator } from './database-replicator.ts'
import { FencedError, messageOf } from './events.ts'
import type { ReplicationStatus } from './replication-status.ts'
import type { SnapshotPolicy } from './snapshots/snapshot-policy.ts'
import type { ReplicaUpkeep } from './upkeep/replica-upkeep.ts'
import type { ReplicaWriter } from './upload/replica-writer.ts'

/**
 * How often to look at the size of the WAL during an upload, in milliseconds. The end of the upload
 * wakes the loop anyway.
 */
const SHIPPING_TICK_MS = 250

/** A quiet database gets a full turn after this many polls. */
const FULL_TURN_POLLS = 5

export interface ReplicationLoopParts {
  readonly lifecycle: DatabaseLifecycle
  readonly writer: ReplicaWriter
  readonly policy: SnapshotPolicy
  readonly upkeep: ReplicaUpkeep
  readonly status: ReplicationStatus
  readonly waiters: SyncWaiters
  /** Ends the wait between two turns. */
  readonly wakeup: Wakeup
  /** How often to check the files and look for commits without file events, in milliseconds. */
  readonly pollMs: number
  /** In milliseconds since 1970. */
  readonly now: () => number
  /** An idle database was closed. */
  readonly onIdle: () => void
  /** Aborts what the loop has started. */
  readonly signal: AbortSignal
}

/**
 * The turns in which one database is replicated: each does whatever is due and says how long to wait
 * until the next. `DatabaseReplicator` does the steps. The loop runs until it is stopped or another
 * writer has taken over the replica.
 */
export class ReplicationLoop {
  readonly #parts: ReplicationLoopParts
  readonly #lifecycle: DatabaseLifecycle
  readonly #writer: ReplicaWriter
  readonly #status: ReplicationStatus
  readonly #pollMs: number
  readonly #now: () => number
  /** After an error. */
  readonly #pause = new Deadline()
  readonly #untilCheck = new Deadline()
  readonly #untilFullTurn = new Deadline()
  /** The open database, if the last turn found nothing to do in it. */
  #quiet: DatabaseReplicator | undefined
  /** When upkeep is due, in milliseconds since 1970. */
  #upkeepAt = 0
  #shippedSomething = true
  #isStopping = false

  constructor(parts: ReplicationLoopParts) {
    this.#parts = parts
    const { lifecycle, writer, status, pollMs, now } = parts
    this.#lifecycle = lifecycle
    this.#writer = writer
    this.#status = status
    this.#pollMs = pollMs
    this.#now = now
  }

  /**
   * Opens the database. If the file is empty, the loop waits for content.
   *
   * @throws DatabaseError
   */
  open(): void {
    if (this.#lifecycle.open()) this.#status.opened()
    else this.#status.waiting('the database is empty')
  }

  /**
   * The first turn: continues at the replica's end, or takes a base.
   *
   * @throws DatabaseError; StoreError that a retry cannot fix; FencedError
   */
  async prepareFirst(): Promise<void> {
    if (this.#isStopping) return
    await whileBusy(() => {
      if (!this.#isStopping) this.open()
    }, this.#parts.signal)
    const database = this.#lifecycle.replicator
    if (database === undefined) return
    try {
      await this.#prepare(database)
    } catch (error) {
      const { retryable } = error as { retryable?: boolean }
      const passes = retryable === true || isLost(error) || isReplaced(error)
      if (!passes) throw error
      await this.#recover(error)
    }
  }

  /** @throws FencedError */
  async run(): Promise<void> {
    while (!this.#isStopping) {
      let waitMs: number
      try {
        const now = this.#now()
        await this.#parts.waiters.checked(() => this.checkFiles())
        this.#answerWaiters()
        // During the pause after an error only uploads continue. A file event does not shorten it.
        this.#writer.shipper.startNext(now)
        waitMs = this.#pause.left(now) > 0 ? await this.#whilePaused(now) : await this.#turn(now)
      } catch (error) {
        waitMs = await this.#recover(error)
      }
      await this.#parts.wakeup.sleep(waitMs, this.#sleepOn)
    }
  }

  /** No turn begins after this one. */
  stop(): void {
    this.#isStopping = true
    this.#parts.wakeup.call()
  }

  /** A file is in the store: the WAL may be checkpointed, and a snapshot may be due. */
  fileShipped(): void {
    this.#shippedSomething = true
  }

  /** Compares what is open with the files that are at the path now. */
  async checkFiles(): Promise<void> {
    await this.#handle(this.#lifecycle.replicator?.source.mismatch())
  }

  async #handle(mismatch: FileMismatch | undefined): Promise<void> {
    if (mismatch?.kind === 'replaced') await this.#abandon(mismatch.reason)
    this.#status.filesRemoved(mismatch?.kind === 'removed' ? mismatch.reason : undefined)
  }

  /** Answers the callers whose commits were stored, after a final sync that was complete. */
  async answerLast(): Promise<void> {
    const { waiters } = this.#parts
    const { replicator } = this.#lifecycle
    // Nothing is open, or the database has no page: there is no commit that could be missing.
    if (replicator === undefined || replicator.needsPreparing) {
      waiters.answerAll(this.#status.shipped)
      return
    }
    await waiters.checked(() => this.checkFiles())
    this.#answerWaiters()
  }

  #answerWaiters(): void {
    const { replicator } = this.#lifecycle
    if (replicator === undefined || replicator.needsPreparing) return
    this.#parts.waiters.answer(
      replicator.source.capture,
      this.#writer.captured,
      this.#status.shipped,
    )
  }

  /**
   * The files are checked every poll interval, whatever failed. Upkeep waits until the pause is
   * over, and must not be waited for: a loop that wakes for it would find nothing to do.
   */
  async #whilePaused(now: number): Promise<number> {
    const { upkeep } = this.#parts
    // Throws if upkeep has met a newer writer.
    upkeep.dueAt(now)
    await this.#checkFilesIfDue(now)
    return Math.min(this.#pollMs, this.#pause.left(now))
  }

  /** Does whatever is due. Returns how long to wait before the next turn, in milliseconds. */
  async #turn(now: number): Promise<number> {
    const { upkeep } = this.#parts
    upkeep.runDue(now)
    const waitMs = await this.#replicate(now)
    const after = this.#now()
    this.#upkeepAt = upkeep.dueAt(after)
    return Math.min(waitMs, this.#upkeepAt - after)
  }

  /**
   * After a quiet turn the log is looked at again in quick succession, nearly always for nothing: that
   * takes one read, and a turn only if there is something to do.
   *
   * @returns how much longer to sleep, in milliseconds
   */
  readonly #sleepOn = (): number => {
    const database = this.#quiet
    const now = this.#now()
    if (database === undefined || database !== this.#lifecycle.replicator) return 0
    if (this.#untilCheck.left(now) === 0 || !this.#staysQuiet(database, now)) return 0
    return Math.min(this.#lifecycle.pace?.quietAgain() ?? 0, this.#upkeepAt - now)
  }

  async #replicate(now: number): Promise<number> {
    this.#quiet = undefined
    await this.#checkFilesIfDue(now)
    if (!(await this.#lifecycle.closeLeftover())) return this.#pollMs
    const isChanged = this.#lifecycle.mustOpen()
    if (isChanged) this.open()
    const database = this.#lifecycle.replicator
    const { shipper } = this.#writer
    if (database !== undefined && this.#staysQuiet(database, now)) {
      return await this.#beQuiet(database, now)
    }
    database?.quietLog.turnBegins()
    if (database?.needsPreparing === false) database.releaseIdleMark(now)
    shipper.startNext(now)
    if (shipper.pending.length > 0) return await this.#whileShipping(database, now)
    if (database === undefined) return this.#whileIdle(now, isChanged)
    if (database.needsPreparing) return await this.#prepare(database)
    if (this.#shippedSomething) {
      this.#shippedSomething = false
      await database.checkpoint(now, this.#parts.signal)
      if (shipper.pending.length > 0) return 0
      database.startSnapshot(now, this.#parts.signal, () => this.#parts.wakeup.call())
    }
    const walBytes = database.source.capture.walBytes()
    const untilSync = this.#lifecycle.pace?.untilSync(now) ?? 0
    const mayWait = !this.#parts.waiters.isUrgent && !database.checkpoints.isPressing(now, walBytes)
    if (untilSync > 0 && mayWait) return Math.min(BUSY_TICK_MS, untilSync)
    if (await this.#captureNow(database, now)) return 0
    this.#untilFullTurn.set(now, FULL_TURN_POLLS * this.#pollMs)
    if (!database.snapshots.isRunning) database.quietLog.turnWasQuiet()
    return await this.#beQuiet(database, now)
  }

  /**
   * Would a turn find nothing to do? A log that was overwritten in place does not show in its index,
   * so a full turn follows after some polls in any case.
   */
  #staysQuiet(database: DatabaseReplicator, now: number): boolean {
    if (database.needsPreparing || this.#writer.shipper.pending.length > 0) return false
    if (this.#parts.waiters.isUrgent || this.#untilFullTurn.left(now) === 0) return false
    if (this.#parts.policy.dueAt(now, this.#writer.captured) <= now) return false
    return database.quietLog.isStill
  }

  async #captureNow(database: DatabaseReplicator, now: number): Promise<boolean> {
    const captured = await database.capture(this.#lifecycle.pace?.noticedAt(now) ?? now)
    this.#status.recovered()
    if (!captured) return false
    this.#lifecycle.pace?.captured(now)
    this.#writer.shipper.startNext(now)
    return true
  }

  /** Nothing to ship: waits for the next file event, and polls in case there is none. */
  async #beQuiet(database: DatabaseReplicator, now: number): Promise<number> {
    const { pace } = this.#lifecycle
    if (pace === undefined) return this.#pollMs
    const { waitMs, armed, isCalm } = pace.quiet()
    if (armed && (await this.#captureNow(database, now))) return 0
    this.#quiet = database
    this.#shippedSomething = true
    if (!isCalm || !(await this.#lifecycle.closeIfIdle(now))) return waitMs
    if (this.#lifecycle.isIdle) this.#parts.onIdle()
    return 0
  }

  /**
   * Nothing is open: the database is missing, or idle with everything in the store.
   *
   * @param isChanged its files have changed, and it could not be opened because it has become empty
   */
  #whileIdle(now: number, isChanged: boolean): number {
    this.#status.recovered()
    if (!this.#lifecycle.isIdle || isChanged) return this.#pollMs
    if (this.#lifecycle.isGone()) {
      this.#status.lost('the database was deleted while it was idle')
      return this.#pollMs
    }
    this.#parts.waiters.answerAll(this.#status.shipped)
    const untilSnapshot = this.#parts.policy.dueAt(now, this.#writer.captured) - now
    if (untilSnapshot > 0) return Math.min(this.#lifecycle.idleWaitMs, untilSnapshot)
    this.open()
    return this.#lifecycle.isIdle ? this.#pollMs : 0
  }

  async #whileShipping(database: DatabaseReplicator | undefined, now: number): Promise<number> {
    await database?.relieve(now)
    const untilRetry = this.#writer.shipper.untilRetry(now)
    return untilRetry > 0 ? Math.min(untilRetry, SHIPPING_TICK_MS) : SHIPPING_TICK_MS
  }

  async #prepare(database: DatabaseReplicator): Promise<number> {
    const outcome = await database.prepare(this.#parts.signal)
    if (outcome === 'empty') {
      this.#status.waiting('the database is empty')
      return this.#pollMs
    }
    if (outcome === 'again') return BUSY_TICK_MS
    this.#parts.waiters.askAgain()
    this.#status.replicating(this.#writer.shipped)
    this.#status.recovered()
    return 0
  }

  async #checkFilesIfDue(now: number): Promise<void> {
    if (this.#untilCheck.left(now) > 0) return
    this.#untilCheck.set(now, this.#pollMs * 0.9)
    await this.#handle(this.#lifecycle.replicator?.source.mismatchIfTouched())
  }

  /** The files at the path are no longer the open database: ships what can still be read of it, then closes it. */
  async #abandon(reason: string): Promise<void> {
    const database = this.#lifecycle.replicator
    if (database === undefined) return
    try {
      if (!database.needsPreparing) await this.#captureNow(database, this.#now())
      await this.#writer.releaseWal(database.source)
    } catch (error) {
      // Reading a log that is no longer the database's may fail in any way. A new base follows.
      if (error instanceof FencedError) throw error
      await database.loseContinuity(messageOf(error))
    }
    await this.#lifecycle.abandon(reason)
    this.#status.lost(`the database was replaced or deleted: ${reason}`)
  }

  /** Only fencing ends the loop. Any other error is reported and retried after a pause, which is returned in milliseconds. */
  async #recover(error: unknown): Promise<number> {
    // A failed open may leave a connection that holds the WAL index, so that no application can
    // start. The next turn tries again to close it, and reports why it cannot.
    this.#untilFullTurn.clear()
    await this.#lifecycle.closeLeftover().catch(() => false)
    if (this.#isStopping) return 0
    if (error instanceof FencedError) {
      this.#status.fenced(error)
      this.#parts.waiters.end(error)
      throw error
    }
    if (isLost(error)) {
      await this.#lifecycle.replicator?.loseContinuity(error.message)
      return 0
    }
    if (isReplaced(error)) {
      try {
        await this.#abandon(error.message)
        return 0
      } catch (another) {
        return await this.#recover(another)
      }
    }
    const retryInMs = this.#status.failed(error)
    this.#pause.set(this.#now(), retryInMs)
    return retryInMs
  }
}

/** The files at the path are no longer those that are open. */
function isReplaced(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code === 'Replaced'
}

/** The WAL was restarted before all of it was captured: a new base follows. */
function isLost(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code === 'ContinuityLost'
}
