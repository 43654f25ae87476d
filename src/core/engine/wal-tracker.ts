import { Deadline } from '../async/deadline.ts'
import { Wakeup } from '../async/wakeup.ts'
import { DatabaseError } from '../db/index.ts'
import type { TXID } from '../ltx/index.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
import type { ObjectStore } from '../store/index.ts'
import { BUSY_TICK_MS } from './capture/sync-pace.ts'
import { FencedError } from './events.ts'
import { finalSync } from './final-sync.ts'
import type { TrackedDatabase } from './tracked-database.ts'
import type { DatabaseStatus, TrackerContext, TrackerOptions } from './tracker-options.ts'
import { type TrackerParts, trackerParts } from './tracker-parts.ts'
import { messageOf } from './work.ts'

/**
 * Tracks one database's WAL into its replica: looks at once on a file event, then at most once per
 * sync interval while writes go on; ships what was committed; lets the WAL be checkpointed when it
 * is shipped; takes a new base where continuity cannot be proven. It ends by itself only when
 * another writer has taken the replica over.
 */
export class WalTracker {
  readonly name: string
  readonly #pollMs: number
  readonly #context: TrackerContext
  readonly #parts: TrackerParts
  readonly #wakeup = new Wakeup()
  readonly #pause = new Deadline()
  readonly #abort = new AbortController()
  #starting: Promise<void> | undefined
  #loop: Promise<void> | undefined
  #stopping = false
  readonly #syncWaiters: ((txid: TXID | undefined) => void)[] = []
  #shippedSomething = true
  readonly #untilCheck = new Deadline()

  /** @param store rooted at the replica's prefix */
  constructor(
    store: ObjectStore,
    layout: ReplicaLayout,
    options: TrackerOptions,
    context: TrackerContext,
    createOnlyCheck?: CreateOnlyCheck,
  ) {
    this.name = options.name
    this.#pollMs = options.pollIntervalMs ?? 1000
    this.#context = context
    this.#parts = trackerParts(
      { store, layout, options, context, createOnlyCheck },
      {
        wake: () => this.#wakeup.call(),
        onShipped: () => {
          this.#shippedSomething = true
        },
      },
    )
  }

  /**
   * Looks whether there is a database to replicate. No other tracker may have the file open.
   *
   * @throws DatabaseError
   */
  check(): void {
    this.#parts.access.check()
  }

  /**
   * Opens the database; nothing is written yet. An empty file is waited for.
   *
   * @throws DatabaseError
   */
  open(): void {
    if (this.#parts.access.open()) this.#parts.journal.opened()
    else this.#parts.journal.waiting('the database is empty')
  }

  /** Device and inode of the file, to find one database given twice. */
  get identity(): string | undefined {
    return this.#parts.access.identity
  }

  /**
   * Finds the replica's end (or takes a base) and starts the loop. Resolves when the replica is being
   * kept up to date, or, if the store is out of reach for now, when that is known and will be tried again.
   *
   * @throws StoreError that trying again cannot mend: no such bucket, no permission; FencedError
   */
  async start(): Promise<void> {
    this.#starting = this.#context.starting(() => this.#prepareFirst())
    await this.#starting
    this.#loop = this.#run()
    this.#loop.catch(() => undefined)
  }

  /**
   * Ships at once, whatever the interval. Resolves with the replica's TXID when everything that was
   * committed before the call is in the store; waits as long as the store is away, or the database.
   */
  sync(): Promise<TXID | undefined> {
    return new Promise((resolve) => {
      this.#syncWaiters.push(resolve)
      this.#wakeup.call()
    })
  }

  /** Settles when the tracker has ended. @throws FencedError */
  async done(): Promise<void> {
    await this.#starting
    await this.#loop
  }

  /**
   * Ships what was committed until now and ends. The SQLite connections stay open: the last one to
   * close would delete the WAL, and with it the proof that the next start can go on from here.
   *
   * @returns whether everything was shipped within the time
   */
  async stop(timeoutMs: number): Promise<boolean> {
    if (this.#starting === undefined) return true
    this.#stopping = true
    this.#wakeup.call()
    const upkeepEnded = this.#parts.upkeep.stop()
    const timer = setTimeout(
      () => this.#abort.abort(new Error('the time for the final sync is over')),
      timeoutMs,
    )
    try {
      await this.#starting
      await this.#loop
      await upkeepEnded
      const { access, writer } = this.#parts
      const isHeld = access.tracked !== undefined || access.isResting
      await this.#checkFiles()
      if (isHeld && access.mustOpen()) this.open()
      const { signal } = this.#abort
      const done = await finalSync(access.tracked, writer.shipper, this.#wakeup, signal)
      if (done) await this.#parts.release(signal)
      return done
    } catch (error) {
      if (error instanceof FencedError) this.#parts.journal.fenced(error)
      throw error
    } finally {
      for (const done of this.#syncWaiters.splice(0)) done(this.#parts.journal.shipped)
      clearTimeout(timer)
      this.#parts.access.pace?.stop()
      this.#parts.journal.stopped()
    }
  }

  /**
   * Closes the SQLite connections, for a process that goes on after `stop`.
   *
   * @param keepLog leave the log to the next start, even if ours is the last connection
   */
  async close(keepLog?: boolean): Promise<void> {
    await this.#parts.access.close(keepLog)
  }

  status(): DatabaseStatus {
    return this.#parts.status()
  }

  async #prepareFirst(): Promise<void> {
    if (this.#stopping) return
    this.open()
    const database = this.#parts.access.tracked
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

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let waitMs: number
      try {
        const now = Date.now()
        // After an error uploads alone go on: a file event does not cut the pause short.
        this.#parts.writer.shipper.pump(now)
        waitMs = this.#pause.left(now) > 0 ? await this.#whilePaused(now) : await this.#turn(now)
        waitMs = Math.min(waitMs, this.#parts.upkeep.waitMs(Date.now()))
      } catch (error) {
        waitMs = await this.#recover(error)
      }
      await this.#wakeup.sleep(waitMs)
    }
  }

  /** Whatever failed: the files are looked at every poll interval. */
  async #whilePaused(now: number): Promise<number> {
    await this.#checkFilesIfDue(now)
    return Math.min(this.#pollMs, this.#pause.left(now))
  }

  /** One look at everything that may be due. Returns how long to wait until the next, in milliseconds. */
  async #turn(now: number): Promise<number> {
    this.#parts.upkeep.pump(now)
    await this.#checkFilesIfDue(now)
    if (!(await this.#parts.access.clear())) return this.#pollMs
    if (this.#parts.access.mustOpen()) this.open()
    const database = this.#parts.access.tracked
    const { shipper } = this.#parts.writer
    if (database?.needsPreparing === false) database.settle()
    shipper.pump(now)
    if (shipper.pending.length > 0) return await this.#whileShipping(database, now)
    if (database === undefined) return this.#rested(now)
    if (database.needsPreparing) return await this.#prepare(database)
    if (this.#shippedSomething) {
      this.#shippedSomething = false
      await database.checkpoint(now, this.#abort.signal)
      if (shipper.pending.length > 0) return 0
      database.startSnapshot(now, this.#abort.signal, () => this.#wakeup.call())
    }
    const walBytes = database.source.capture.walBytes()
    const untilSync = this.#parts.access.pace?.untilSync(now) ?? 0
    const mayWait = this.#syncWaiters.length === 0 && !database.checkpoints.pressing(now, walBytes)
    if (untilSync > 0 && mayWait) return Math.min(BUSY_TICK_MS, untilSync)
    const waiting = this.#syncWaiters.length
    if (await this.#captureNow(database, now)) return 0
    for (const done of this.#syncWaiters.splice(0, waiting)) done(this.#parts.journal.shipped)
    return await this.#beQuiet(database, now)
  }

  async #captureNow(database: TrackedDatabase, now: number): Promise<boolean> {
    const captured = await database.capture(this.#parts.access.pace?.noticedAt(now) ?? now)
    this.#parts.journal.recovered()
    if (!captured) return false
    this.#parts.access.pace?.captured(now)
    this.#parts.writer.shipper.pump(now)
    return true
  }

  /** Nothing to ship: waits for the next file event, with polling behind it. */
  async #beQuiet(database: TrackedDatabase, now: number): Promise<number> {
    const { pace } = this.#parts.access
    if (pace === undefined) return this.#pollMs
    const { waitMs, armed, isCalm } = pace.quiet()
    if (armed && (await this.#captureNow(database, now))) return 0
    this.#shippedSomething = true
    if (!isCalm || !(await this.#parts.access.rest(now))) return waitMs
    if (this.#parts.access.isResting) this.#context.onEvent({ type: 'rested', database: this.name })
    return 0
  }

  /** Nothing is open: all of a resting database is in the store. */
  #rested(now: number): number {
    this.#parts.journal.recovered()
    if (!this.#parts.access.isResting) return this.#pollMs
    for (const done of this.#syncWaiters.splice(0)) done(this.#parts.journal.shipped)
    const untilSnapshot = this.#parts.policy.dueAt(this.#parts.writer.captured) - now
    if (untilSnapshot > 0) return Math.min(this.#parts.access.restMs, untilSnapshot)
    // One that could not be opened a moment ago, for it is empty now, is waited for.
    if (!this.#parts.access.mustOpen()) this.open()
    return this.#parts.access.isResting ? this.#pollMs : 0
  }

  async #whileShipping(database: TrackedDatabase | undefined, now: number): Promise<number> {
    await database?.relieve(now)
    const untilRetry = this.#parts.writer.shipper.untilRetry(now)
    return untilRetry > 0 ? Math.min(untilRetry, 250) : BUSY_TICK_MS
  }

  async #prepare(database: TrackedDatabase): Promise<number> {
    const outcome = await database.prepare(this.#abort.signal)
    if (outcome === 'empty') {
      this.#parts.journal.waiting('the database is empty')
      return this.#pollMs
    }
    if (outcome === 'again') return BUSY_TICK_MS
    this.#parts.journal.replicating(this.#parts.writer.shipped)
    this.#parts.journal.recovered()
    return 0
  }

  async #checkFilesIfDue(now: number): Promise<void> {
    if (this.#untilCheck.left(now) > 0) return
    this.#untilCheck.set(now, this.#pollMs * 0.9)
    await this.#checkFiles()
  }

  /** Holds what is open against the path and the files that are there now. */
  async #checkFiles(): Promise<void> {
    const { access, journal } = this.#parts
    const mismatch = access.tracked?.source.mismatch()
    if (mismatch?.kind === 'replaced') await this.#leave(mismatch.reason)
    journal.filesRemoved(mismatch?.kind === 'removed' ? mismatch.reason : undefined)
  }

  /** The files are no longer the database that is open: ships what can still be read of that and lets it go. */
  async #leave(reason: string): Promise<void> {
    const database = this.#parts.access.tracked
    if (database === undefined) return
    try {
      if (!database.needsPreparing) await this.#captureNow(database, Date.now())
      await this.#parts.writer.releaseWal(database.source)
    } catch (error) {
      // Whatever SQLite says of a log that is no longer the database's: what follows is a new base.
      if (error instanceof FencedError) throw error
      await database.loseContinuity(messageOf(error))
    }
    await this.#parts.access.leave(reason)
    this.#parts.journal.lost(`the database was replaced or deleted: ${reason}`)
  }

  /** Errors end nothing but fencing: they are told, and the same is tried again after a pause. Returns the pause. */
  async #recover(error: unknown): Promise<number> {
    // What a failed open leaves holds the index of the log, under which no application can start.
    // What keeps it from being closed is told at the next turn, which tries again.
    await this.#parts.access.clear().catch(() => false)
    if (this.#stopping) return 0
    if (error instanceof FencedError) {
      this.#parts.journal.fenced(error)
      throw error
    }
    if (isLost(error)) {
      await this.#parts.access.tracked?.loseContinuity(error.message)
      return 0
    }
    if (isReplaced(error)) {
      try {
        await this.#leave(error.message)
        return 0
      } catch (another) {
        return await this.#recover(another)
      }
    }
    const retryInMs = this.#parts.journal.failed(error)
    this.#pause.set(Date.now(), retryInMs)
    return retryInMs
  }
}

/** The files are no longer those that are open. */
function isReplaced(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code === 'Replaced'
}

/** The WAL was restarted unseen: a new base follows. */
function isLost(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code === 'ContinuityLost'
}
