import { DatabaseError } from '../db/index.ts'
import { formatTxid, type LtxHeader, type TXID } from '../ltx/index.ts'
import { DEFAULT_SNAPSHOT_TRIGGERS } from '../policy/snapshot-triggers.ts'
import type { FencingProof } from '../replica/epoch-proof.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { ObjectStore } from '../store/index.ts'
import { Backoff } from './backoff.ts'
import { claimOf } from './claim-of.ts'
import { DatabaseAccess } from './database-access.ts'
import { Deadline } from './deadline.ts'
import { type EngineEvent, FencedError } from './events.ts'
import { finalSync } from './final-sync.ts'
import { ReplicaUpkeep, restorableOf } from './replica-upkeep.ts'
import { ReplicaWriter } from './replica-writer.ts'
import { levelZero, type PendingFile } from './shipper.ts'
import { SnapshotPolicy } from './snapshot-policy.ts'
import { spoolOf } from './spool.ts'
import { BUSY_TICK_MS } from './sync-pace.ts'
import { TrackedDatabase } from './tracked-database.ts'
import { TrackerJournal } from './tracker-journal.ts'
import type { DatabaseStatus, TrackerContext, TrackerOptions } from './tracker-options.ts'
import { Wakeup } from './wakeup.ts'

/**
 * Tracks one database's WAL into its replica: looks at once on a file event, then at most once per
 * sync interval while writes go on; ships what was committed; lets the WAL be checkpointed when it
 * is shipped; takes a new base where continuity cannot be proven. It ends by itself only when
 * another writer has taken the replica over.
 */
export class WalTracker {
  readonly name: string
  readonly #path: string
  readonly #pollMs: number
  readonly #context: TrackerContext
  readonly #writer: ReplicaWriter
  readonly #policy: SnapshotPolicy
  readonly #upkeep: ReplicaUpkeep
  readonly #wakeup = new Wakeup()
  readonly #backoff = new Backoff()
  readonly #abort = new AbortController()
  readonly #access: DatabaseAccess
  #starting: Promise<void> | undefined
  #loop: Promise<void> | undefined
  #stopping = false
  readonly #syncWaiters: ((txid: TXID | undefined) => void)[] = []
  #shippedSomething = true
  readonly #untilCheck = new Deadline()
  readonly #journal: TrackerJournal

  /** @param store rooted at the replica's prefix */
  constructor(
    store: ObjectStore,
    layout: ReplicaLayout,
    options: TrackerOptions,
    context: TrackerContext,
    fencingProof?: FencingProof,
  ) {
    const { name, path } = options
    this.name = name
    this.#path = path
    this.#pollMs = options.pollIntervalMs ?? 1000
    const maxWalBytes = options.maxWalBytes ?? 64 << 20
    this.#context = context
    this.#journal = new TrackerJournal(name, context.onEvent)
    const wake = () => this.#wakeup.call()
    const onStored = (file: LtxFileInfo) => this.#upkeep.catalogue.add(file)
    const triggers = options.snapshots ?? DEFAULT_SNAPSHOT_TRIGGERS
    this.#policy = new SnapshotPolicy(store, layout, triggers, onStored)
    const spool = spoolOf(options)
    const claim = claimOf(store, options, context, fencingProof)
    const hooks = {
      onShipped: (file: PendingFile, bytes: number) => this.#onShipped(file, bytes),
      onTaken: (file: PendingFile, found: LtxHeader, signal: AbortSignal) =>
        this.#onTaken(file, found, signal),
      onEvent: context.onEvent,
      wake,
    }
    const identity = { ...context, claim }
    this.#writer = new ReplicaWriter(name, store, layout, spool, identity, hooks, onStored)
    this.#upkeep = new ReplicaUpkeep({
      options,
      context,
      client: this.#writer.client,
      nodeId: () => claim?.nodeId ?? context.nodeId,
      assertCurrent: async (signal) => await claim?.assertCurrent(signal),
      protectedSlots: async (signal) => (await claim?.protectedSlots(signal)) ?? [],
      stored: () => this.#journal.shipped,
      wake,
    })
    const { residency, folders } = context
    this.#access = new DatabaseAccess({
      path,
      syncMs: options.syncIntervalMs ?? 1000,
      pollMs: this.#pollMs,
      residency,
      folders,
      wake,
      track: (source, sums) => {
        const parts = { name, writer: this.#writer, policy: this.#policy, maxWalBytes, ...context }
        const onListed = (files: readonly LtxFileInfo[]) => this.#upkeep.observe(files)
        const onEvent = (event: EngineEvent) => this.#journal.tell(event)
        return new TrackedDatabase(source, { ...parts, onEvent, onListed }, sums)
      },
    })
  }

  /**
   * Looks whether there is a database to replicate. No other tracker may have the file open.
   *
   * @throws DatabaseError
   */
  check(): void {
    this.#access.check()
  }

  /**
   * Opens the database; nothing is written yet. An empty file is waited for.
   *
   * @throws DatabaseError
   */
  open(): void {
    if (this.#access.open()) this.#journal.opened()
    else this.#journal.waiting('the database is empty')
  }

  /** Device and inode of the file, to find one database given twice. */
  get identity(): string | undefined {
    return this.#access.identity
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
    const upkeepEnded = this.#upkeep.stop()
    const timer = setTimeout(
      () => this.#abort.abort(new Error('the time for the final sync is over')),
      timeoutMs,
    )
    try {
      await this.#starting
      await this.#loop
      await upkeepEnded
      if (this.#access.isResting && this.#access.mustOpen()) this.open()
      const { signal } = this.#abort
      const { shipper } = this.#writer
      const done = await finalSync(this.#access.tracked, shipper, this.#wakeup, signal)
      if (done) await this.#release(signal)
      return done
    } catch (error) {
      if (error instanceof FencedError) this.#journal.fenced(error)
      throw error
    } finally {
      for (const done of this.#syncWaiters.splice(0)) done(this.#journal.shipped)
      clearTimeout(timer)
      this.#access.pace?.stop()
      this.#journal.stopped()
    }
  }

  /** Everything is in the store and nothing more will be written: the next writer need not fence this one. */
  async #release(signal: AbortSignal): Promise<void> {
    const { claim } = this.#writer
    try {
      await claim?.release(signal)
    } catch (error) {
      const { name: database } = this
      this.#context.onEvent({ type: 'not-released', database, epoch: claim?.epoch ?? 0, error })
    }
  }

  /** Closes the SQLite connections, for a process that goes on after `stop`. */
  async close(): Promise<void> {
    await this.#access.close()
  }

  status(): DatabaseStatus {
    const { summary } = this.#journal
    const pendingFiles = this.#writer.shipper.pending.length
    return {
      ...summary,
      name: this.name,
      path: this.#path,
      state: summary.state === 'replicating' && pendingFiles > 1 ? 'behind' : summary.state,
      isOpen: this.#access.tracked !== undefined,
      pendingFiles,
      walBytes: this.#access.tracked?.source.capture.walBytes() ?? 0,
      spoolBytes: this.#writer.spool.bytes,
      lagMs: this.#lagMs(Date.now()),
      replicaFiles: this.#upkeep.catalogue.count,
      replicaBytes: this.#upkeep.catalogue.bytes,
      restorable: restorableOf(this.#upkeep.catalogue),
    }
  }

  #lagMs(now: number): number {
    const oldest = this.#writer.shipper.pending[0]
    return now - (oldest?.noticedAt ?? this.#access.pace?.noticedAt(now) ?? now)
  }

  async #prepareFirst(): Promise<void> {
    if (this.#stopping) return
    this.open()
    const database = this.#access.tracked
    if (database === undefined) return
    try {
      await this.#prepare(database)
    } catch (error) {
      const passes = (error as { retryable?: boolean }).retryable === true || isLost(error)
      if (!passes) throw error
      await this.#recover(error)
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let waitMs: number
      try {
        waitMs = await this.#turn(Date.now())
        waitMs = Math.min(waitMs, this.#upkeep.waitMs(Date.now()))
      } catch (error) {
        waitMs = await this.#recover(error)
      }
      await this.#wakeup.sleep(waitMs)
    }
  }

  /** One look at everything that may be due. Returns how long to wait until the next, in milliseconds. */
  async #turn(now: number): Promise<number> {
    this.#upkeep.pump(now)
    if (this.#untilCheck.left(now) === 0) {
      this.#untilCheck.set(now, this.#pollMs * 0.9)
      if (this.#access.tracked?.source.file.isCurrent() === false) await this.#leave()
    }
    if (this.#access.mustOpen()) this.open()
    const database = this.#access.tracked
    const { shipper } = this.#writer
    if (database?.needsPreparing === false) database.settle()
    shipper.pump(now)
    if (shipper.pending.length > 0) return await this.#whileShipping(database, now)
    if (database === undefined) return this.#rested(now)
    if (database.needsPreparing) return await this.#prepare(database)
    if (this.#shippedSomething) {
      this.#shippedSomething = false
      await database.checkpoint(now)
      if (shipper.pending.length > 0) return 0
      database.startSnapshot(now, this.#abort.signal, () => this.#wakeup.call())
    }
    const walBytes = database.source.capture.walBytes()
    const untilSync = this.#access.pace?.untilSync(now) ?? 0
    const mayWait = this.#syncWaiters.length === 0 && !database.checkpoints.pressing(now, walBytes)
    if (untilSync > 0 && mayWait) {
      return Math.min(BUSY_TICK_MS, untilSync)
    }
    const waiting = this.#syncWaiters.length
    if (await this.#captureNow(database, now)) return 0
    for (const done of this.#syncWaiters.splice(0, waiting)) done(this.#journal.shipped)
    return await this.#beQuiet(database, now)
  }

  async #captureNow(database: TrackedDatabase, now: number): Promise<boolean> {
    if (!(await database.capture(this.#access.pace?.noticedAt(now) ?? now))) return false
    this.#access.pace?.captured(now)
    this.#writer.shipper.pump(now)
    return true
  }

  /** Nothing to ship: waits for the next file event, with polling behind it. */
  async #beQuiet(database: TrackedDatabase, now: number): Promise<number> {
    const { pace } = this.#access
    if (pace === undefined) return this.#pollMs
    const { waitMs, armed, isCalm } = pace.quiet()
    if (armed && (await this.#captureNow(database, now))) return 0
    this.#shippedSomething = true
    if (!isCalm || !(await this.#access.rest(now))) return waitMs
    if (this.#access.isResting) this.#context.onEvent({ type: 'rested', database: this.name })
    return 0
  }

  /** Nothing is open: all of a resting database is in the store. */
  #rested(now: number): number {
    if (!this.#access.isResting) return this.#pollMs
    for (const done of this.#syncWaiters.splice(0)) done(this.#journal.shipped)
    const untilSnapshot = this.#policy.dueAt(this.#writer.captured) - now
    if (untilSnapshot > 0) return Math.min(this.#access.restMs, untilSnapshot)
    this.open()
    return this.#access.isResting ? this.#pollMs : 0
  }

  async #whileShipping(database: TrackedDatabase | undefined, now: number): Promise<number> {
    await database?.relieve(now)
    const untilRetry = this.#writer.shipper.untilRetry(now)
    return untilRetry > 0 ? Math.min(untilRetry, 250) : BUSY_TICK_MS
  }

  async #prepare(database: TrackedDatabase): Promise<number> {
    const outcome = await database.prepare(this.#abort.signal)
    if (outcome === 'empty') {
      this.#journal.waiting('the database is empty')
      return this.#pollMs
    }
    if (outcome === 'again') return BUSY_TICK_MS
    this.#journal.replicating(this.#writer.shipped)
    this.#backoff.reset()
    return 0
  }

  /** The file at the path is another one, or gone: ships what can still be read of the old one and lets it go. */
  async #leave(): Promise<void> {
    const database = this.#access.tracked
    if (database === undefined) return
    if (!database.needsPreparing) await this.#captureNow(database, Date.now())
    await this.#writer.releaseWal(database.source)
    await this.#access.close()
    this.#journal.waiting('the database was replaced or deleted')
  }

  /** Errors end nothing but fencing: they are told, and the same is tried again after a pause. Returns the pause. */
  async #recover(error: unknown): Promise<number> {
    if (this.#stopping) return 0
    if (error instanceof FencedError) {
      this.#journal.fenced(error)
      throw error
    }
    if (isLost(error)) {
      await this.#access.tracked?.loseContinuity(error.message)
      return 0
    }
    const retryInMs = this.#backoff.next()
    this.#journal.failed(error, retryInMs)
    return retryInMs
  }

  async #onTaken(file: PendingFile, found: LtxHeader, signal: AbortSignal): Promise<void> {
    const database = this.#access.tracked
    if (database !== undefined) return await database.adopt(file.txid, found, signal)
    const message = `Another writer has taken over the replica of ${this.name}.`
    throw new FencedError('TakenOver', this.name, formatTxid(file.txid), message)
  }

  #onShipped(file: PendingFile, bytes: number): void {
    if (file.uncaptured !== undefined) this.#access.tracked?.source.capture.advance(file.uncaptured)
    this.#shippedSomething = true
    this.#policy.shipped(file.pages, bytes, Date.now())
    this.#upkeep.catalogue.add(levelZero(this.#writer.client.layout, file, bytes))
    this.#journal.synced(file, bytes)
  }
}

/** The WAL was restarted unseen: a new base follows. */
function isLost(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && error.code === 'ContinuityLost'
}
