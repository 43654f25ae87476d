import { Deadline } from '../async/deadline.ts'
import { Wakeup } from '../async/wakeup.ts'
import { DatabaseError } from '../db/index.ts'
import { formatTxid, type LtxHeader, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
import { EpochClaim } from '../replica/writer-claim/writer-claim.ts'
import type { ObjectStore } from '../store/index.ts'
import { BUSY_TICK_MS } from './capture/sync-pace.ts'
import { type SyncRequest, SyncWaiters } from './capture/sync-waiters.ts'
import { DatabaseLifecycle } from './database-lifecycle.ts'
import { DatabaseReplicator, type ReplicatorParts } from './database-replicator.ts'
import { type EngineEvent, FencedError, messageOf } from './events.ts'
import { finalSync } from './final-sync.ts'
import { DEFAULT_SYNC_BURST, type EngineContext, type TrackerOptions } from './options.ts'
import { type DatabaseStatus, ReplicationStatus } from './replication-status.ts'
import { DEFAULT_SNAPSHOT_TRIGGERS, SnapshotPolicy } from './snapshots/snapshot-policy.ts'
import { ReplicaCatalogue, restorableOf } from './upkeep/replica-catalogue.ts'
import { ReplicaUpkeep } from './upkeep/replica-upkeep.ts'
import type { PendingFile } from './upload/pending-file.ts'
import { ReplicaWriter } from './upload/replica-writer.ts'
import type { ShipperHooks } from './upload/shipper.ts'
import { createSpool } from './upload/spool.ts'

/**
 * The replication loop of one database: decides when to capture, ship, checkpoint, take a snapshot
 * or close the database. `DatabaseReplicator` does these steps. The loop ends only when it is
 * stopped or another writer has taken over the replica.
 */
export class WalTracker {
  readonly name: string
  readonly #path: string
  readonly #pollMs: number
  readonly #context: EngineContext
  readonly #status: ReplicationStatus
  readonly #catalogue: ReplicaCatalogue
  readonly #claim: EpochClaim | undefined
  readonly #policy: SnapshotPolicy
  readonly #writer: ReplicaWriter
  readonly #upkeep: ReplicaUpkeep
  readonly #lifecycle: DatabaseLifecycle
  readonly #wakeup = new Wakeup()
  readonly #pause = new Deadline()
  readonly #abort = new AbortController()
  #starting: Promise<void> | undefined
  #loop: Promise<void> | undefined
  #stopping = false
  readonly #waiters = new SyncWaiters()
  #shippedSomething = true
  readonly #untilCheck = new Deadline()

  /** @param store rooted at the replica's prefix */
  constructor(
    store: ObjectStore,
    layout: ReplicaLayout,
    options: TrackerOptions,
    context: EngineContext,
    createOnlyCheck?: CreateOnlyCheck,
  ) {
    const {
      name,
      path,
      singleWriter = 'newest',
      syncIntervalMs: syncMs = 1000,
      handOverLock: lock,
    } = options
    const { syncBurst = DEFAULT_SYNC_BURST } = options
    const { pollIntervalMs: pollMs = 1000, maxWalBytes = 64 << 20 } = options
    const { nodeId, failing, idlePool, folders, clock } = context
    this.name = name
    this.#path = path
    this.#pollMs = pollMs
    this.#context = context
    const wake = () => this.#wakeup.call()
    const now = () => this.#now()
    const onEvent = (event: EngineEvent) => this.#onEvent(event)
    const onStored = (file: LtxFileInfo) => this.#catalogue.add(file)
    const hooks: ShipperHooks = {
      onShipped: (file, bytes) => this.#onShipped(file, bytes),
      onSlotTaken: (file, found, signal) => this.#onSlotTaken(file, found, signal),
      onEvent,
      wake,
      failing: () => failing.size,
      now,
    }

    this.#status = new ReplicationStatus(name, context.onEvent, failing, now)
    this.#catalogue = new ReplicaCatalogue(layout)
    if (singleWriter !== 'none') {
      const file = () => this.#fileOnThisBoot
      const claim = { singleWriter, random: Number(nodeId), createOnlyCheck, file, lock, clock }
      this.#claim = new EpochClaim(name, store, claim)
    }
    const triggers = options.snapshots ?? DEFAULT_SNAPSHOT_TRIGGERS
    this.#policy = new SnapshotPolicy(store, layout, triggers, onStored, now())
    const identity = { ...context, claim: this.#claim }
    const spool = createSpool(options)
    this.#writer = new ReplicaWriter(name, store, layout, spool, identity, hooks, onStored)
    this.#upkeep = new ReplicaUpkeep({
      options,
      context,
      onEvent,
      catalogue: this.#catalogue,
      client: this.#writer.client,
      claim: this.#claim,
      stored: () => this.#status.shipped,
      onListed: (files) => {
        if (this.#policy.checkChain(files, true)) this.#status.chainBroken()
      },
      wake,
    })
    const parts: ReplicatorParts = {
      ...context,
      name,
      writer: this.#writer,
      policy: this.#policy,
      maxWalBytes,
      onEvent,
      now,
      onListed: (files) => this.#upkeep.loadListing(files),
    }
    this.#lifecycle = new DatabaseLifecycle({
      path,
      syncMs,
      syncBurst,
      pollMs,
      idlePool,
      folders,
      wake,
      now,
      replicate: (source, known) => new DatabaseReplicator(source, parts, known),
    })
  }

  /**
   * Checks that there is a database to replicate. No other tracker may have the file open.
   *
   * @throws DatabaseError
   */
  check(): void {
    this.#lifecycle.check()
  }

  /**
   * Opens the database without writing anything. If the file is empty, the loop waits for content.
   *
   * @throws DatabaseError
   */
  open(): void {
    if (this.#lifecycle.open()) this.#status.opened()
    else this.#status.waiting('the database is empty')
  }

  /** Device and inode of the file, to detect a database that was given twice. */
  get identity(): string | undefined {
    return this.#lifecycle.identity
  }

  /** Tells the file from copies of it on other disks and machines; `undefined` where that cannot be told. */
  get #fileOnThisBoot(): string | undefined {
    const { bootId } = this.#context
    return bootId === 0 || this.identity === undefined
      ? undefined
      : `${bootId.toString(16)}:${this.identity}`
  }

  /**
   * Continues at the replica's end, or takes a base, and starts the loop. Resolves when the replica
   * is up to date, or as soon as the store turns out to be unreachable: the loop then retries.
   *
   * @throws StoreError that a retry cannot fix, such as a missing bucket or permission
   * @throws FencedError
   */
  async start(): Promise<void> {
    this.#starting = this.#context.limits.start.run(() => this.#prepareFirst())
    await this.#starting.catch((error: unknown) => {
      this.#waiters.end(error)
      throw error
    })
    this.#loop = this.#run()
    this.#loop.catch(() => undefined)
  }

  /**
   * Resolves with the newest TXID in the store when everything that was committed before the call is
   * in the store; waits as long as the store is away, or the database.
   *
   * @throws FencedError, or a DatabaseError `Stopped` if replication ends before
   */
  sync(request: SyncRequest = { when: 'now' }): Promise<TXID | undefined> {
    const { replicator, pace } = this.#lifecycle
    const capture = replicator?.needsPreparing === false ? replicator.source.capture : undefined
    const synced = this.#waiters.add(request, capture)
    pace?.expect()
    this.#wakeup.call()
    return synced
  }

  /** Settles when the tracker has ended. @throws FencedError */
  async done(): Promise<void> {
    await this.#starting
    await this.#loop
  }

  /**
   * Ships what has been committed so far, then ends. The SQLite connections stay open: closing the
   * last one would delete the WAL, which lets the next start continue without a new base.
   *
   * @returns whether everything was shipped in time
   */
  async stop(timeoutMs: number): Promise<boolean> {
    if (this.#starting === undefined) {
      this.#waiters.end(this.#stopped())
      return true
    }
    this.#stopping = true
    this.#wakeup.call()
    const upkeepEnded = this.#upkeep.stop()
    const timer = setTimeout(
      () => this.#abort.abort(new Error('the time for the final sync is over')),
      timeoutMs,
    )
    try {
      await this.#starting
      await this.#loop
      await upkeepEnded
      const isHeld = this.#lifecycle.replicator !== undefined || this.#lifecycle.isIdle
      await this.#checkFiles()
      if (isHeld && this.#lifecycle.mustOpen()) this.open()
      const { signal } = this.#abort
      const done = await finalSync(
        this.#lifecycle.replicator,
        this.#writer.shipper,
        this.#wakeup,
        signal,
        () => this.#now(),
      )
      if (done) this.#waiters.answerAll(this.#status.shipped)
      if (done) await this.#release(signal)
      return done
    } catch (error) {
      if (error instanceof FencedError) this.#status.fenced(error)
      throw error
    } finally {
      this.#waiters.end(this.#stopped())
      clearTimeout(timer)
      this.#lifecycle.pace?.stop()
      this.#status.stopped()
    }
  }

  /**
   * Closes the SQLite connections, for a process that keeps running after `stop`.
   *
   * @param keepLog keep the WAL for the next start, even if this is the last connection
   */
  async close(keepLog?: boolean): Promise<void> {
    await this.#lifecycle.close(keepLog)
  }

  /** Files of the replica, as this process knows them. */
  files(): readonly LtxFileInfo[] {
    return this.#catalogue.files
  }

  status(): DatabaseStatus {
    const now = this.#now()
    const { replicator, pace } = this.#lifecycle
    const { pending } = this.#writer.shipper
    const oldest = pending[0]?.noticedAt ?? pace?.noticedAt(now) ?? now
    return this.#status.report({
      path: this.#path,
      isOpen: replicator !== undefined,
      pendingFiles: pending.length,
      walBytes: replicator?.source.capture.walBytes() ?? 0,
      spoolBytes: this.#writer.spool.bytes,
      lagMs: now - oldest,
      replicaFiles: this.#catalogue.count,
      replicaBytes: this.#catalogue.bytes,
      restorable: restorableOf(this.#catalogue),
    })
  }

  #now(): number {
    return this.#context.clock().wall
  }

  #onEvent(event: EngineEvent): void {
    // Snapshots and upkeep pause for longer than uploads do: the store is back, so retry them now.
    if (event.type === 'store-recovered') {
      this.#lifecycle.replicator?.snapshots.retryNow()
      this.#upkeep.retryNow()
    }
    this.#status.record(event)
  }

  #onShipped(file: PendingFile, bytes: number): void {
    const { replicator } = this.#lifecycle
    if (file.uncaptured !== undefined) replicator?.source.capture.advance(file.uncaptured)
    this.#policy.shipped(file.pages, bytes, this.#now())
    this.#shippedSomething = true
    this.#status.synced(file, bytes)
  }

  async #onSlotTaken(file: PendingFile, found: LtxHeader, signal: AbortSignal): Promise<void> {
    const { replicator } = this.#lifecycle
    if (replicator !== undefined) return await replicator.adopt(file.txid, found, signal)
    const message = `Another writer has taken over the replica of ${this.name}.`
    throw new FencedError('TakenOver', this.name, formatTxid(file.txid), message)
  }

  /** Everything is in the store and nothing more will be written, so the next writer need not fence this one. */
  async #release(signal: AbortSignal): Promise<void> {
    try {
      await this.#claim?.release(signal)
    } catch (error) {
      const epoch = this.#claim?.epoch ?? 0
      this.#onEvent({ type: 'not-released', database: this.name, epoch, error })
    }
  }

  async #prepareFirst(): Promise<void> {
    if (this.#stopping) return
    this.open()
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

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let waitMs: number
      try {
        const now = this.#now()
        this.#answerWaiters()
        // During the pause after an error only uploads continue. A file event does not shorten it.
        this.#writer.shipper.startNext(now)
        waitMs = this.#pause.left(now) > 0 ? await this.#whilePaused(now) : await this.#turn(now)
        const after = this.#now()
        waitMs = Math.min(waitMs, this.#upkeep.dueAt(after) - after)
      } catch (error) {
        waitMs = await this.#recover(error)
      }
      await this.#wakeup.sleep(waitMs)
    }
  }

  /** The files are checked every poll interval, whatever failed. */
  async #whilePaused(now: number): Promise<number> {
    await this.#checkFilesIfDue(now)
    return Math.min(this.#pollMs, this.#pause.left(now))
  }

  /** Does whatever is due. Returns how long to wait before the next turn, in milliseconds. */
  async #turn(now: number): Promise<number> {
    this.#upkeep.runDue(now)
    await this.#checkFilesIfDue(now)
    if (!(await this.#lifecycle.closeLeftover())) return this.#pollMs
    if (this.#lifecycle.mustOpen()) this.open()
    const database = this.#lifecycle.replicator
    const { shipper } = this.#writer
    if (database?.needsPreparing === false) database.releaseIdleMark()
    shipper.startNext(now)
    if (shipper.pending.length > 0) return await this.#whileShipping(database, now)
    if (database === undefined) return this.#whileIdle(now)
    if (database.needsPreparing) return await this.#prepare(database)
    if (this.#shippedSomething) {
      this.#shippedSomething = false
      await database.checkpoint(now, this.#abort.signal)
      if (shipper.pending.length > 0) return 0
      database.startSnapshot(now, this.#abort.signal, () => this.#wakeup.call())
    }
    const walBytes = database.source.capture.walBytes()
    const untilSync = this.#lifecycle.pace?.untilSync(now) ?? 0
    const mayWait = !this.#waiters.isUrgent && !database.checkpoints.isPressing(now, walBytes)
    if (untilSync > 0 && mayWait) return Math.min(BUSY_TICK_MS, untilSync)
    if (await this.#captureNow(database, now)) return 0
    return await this.#beQuiet(database, now)
  }

  async #captureNow(database: DatabaseReplicator, now: number): Promise<boolean> {
    const captured = await database.capture(this.#lifecycle.pace?.noticedAt(now) ?? now)
    this.#status.recovered()
    if (!captured) return false
    this.#lifecycle.pace?.captured(now)
    this.#writer.shipper.startNext(now)
    return true
  }

  #answerWaiters(): void {
    const { replicator } = this.#lifecycle
    if (replicator === undefined || replicator.needsPreparing) return
    this.#waiters.answer(replicator.source.capture, this.#writer.captured, this.#status.shipped)
  }

  #stopped(): DatabaseError {
    const message = `The replication of ${this.name} has ended, and not all of it is in the store.`
    return new DatabaseError('Stopped', this.#path, message, {
      hint: 'The next start ships what is left.',
    })
  }

  /** Nothing to ship: waits for the next file event, and polls in case there is none. */
  async #beQuiet(database: DatabaseReplicator, now: number): Promise<number> {
    const { pace } = this.#lifecycle
    if (pace === undefined) return this.#pollMs
    const { waitMs, armed, isCalm } = pace.quiet()
    if (armed && (await this.#captureNow(database, now))) return 0
    this.#shippedSomething = true
    if (!isCalm || !(await this.#lifecycle.closeIfIdle(now))) return waitMs
    if (this.#lifecycle.isIdle) this.#context.onEvent({ type: 'idle', database: this.name })
    return 0
  }

  /** Nothing is open: the database is missing, or idle with everything in the store. */
  #whileIdle(now: number): number {
    this.#status.recovered()
    if (!this.#lifecycle.isIdle) return this.#pollMs
    this.#waiters.answerAll(this.#status.shipped)
    const untilSnapshot = this.#policy.dueAt(now, this.#writer.captured) - now
    if (untilSnapshot > 0) return Math.min(this.#lifecycle.idleWaitMs, untilSnapshot)
    // If it could not be opened a moment ago because it has become empty, wait for content.
    if (!this.#lifecycle.mustOpen()) this.open()
    return this.#lifecycle.isIdle ? this.#pollMs : 0
  }

  async #whileShipping(database: DatabaseReplicator | undefined, now: number): Promise<number> {
    await database?.relieve(now)
    const untilRetry = this.#writer.shipper.untilRetry(now)
    return untilRetry > 0 ? Math.min(untilRetry, 250) : BUSY_TICK_MS
  }

  async #prepare(database: DatabaseReplicator): Promise<number> {
    const outcome = await database.prepare(this.#abort.signal)
    if (outcome === 'empty') {
      this.#status.waiting('the database is empty')
      return this.#pollMs
    }
    if (outcome === 'again') return BUSY_TICK_MS
    this.#status.replicating(this.#writer.shipped)
    this.#status.recovered()
    return 0
  }

  async #checkFilesIfDue(now: number): Promise<void> {
    if (this.#untilCheck.left(now) > 0) return
    this.#untilCheck.set(now, this.#pollMs * 0.9)
    await this.#checkFiles()
  }

  /** Compares what is open with the files that are at the path now. */
  async #checkFiles(): Promise<void> {
    const lifecycle = this.#lifecycle
    const mismatch = lifecycle.replicator?.source.mismatch()
    if (mismatch?.kind === 'replaced') await this.#abandon(mismatch.reason)
    this.#status.filesRemoved(mismatch?.kind === 'removed' ? mismatch.reason : undefined)
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
    await this.#lifecycle.closeLeftover().catch(() => false)
    if (this.#stopping) return 0
    if (error instanceof FencedError) {
      this.#status.fenced(error)
      this.#waiters.end(error)
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
