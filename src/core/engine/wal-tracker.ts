import { Wakeup } from '../async/wakeup.ts'
import { DatabaseError, whileBusy } from '../db/index.ts'
import { formatTxid, type LtxHeader, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
import { EpochClaim } from '../replica/writer-claim/writer-claim.ts'
import type { ObjectStore } from '../store/index.ts'
import { type SyncRequest, SyncWaiters } from './capture/sync-waiters.ts'
import { DatabaseLifecycle } from './database-lifecycle.ts'
import { DatabaseReplicator, type ReplicatorParts } from './database-replicator.ts'
import { type EngineEvent, FencedError } from './events.ts'
import { finalSync } from './final-sync.ts'
import { DEFAULT_SYNC_BURST, type EngineContext, type TrackerOptions } from './options.ts'
import { ReplicationLoop } from './replication-loop.ts'
import { type DatabaseStatus, ReplicationStatus } from './replication-status.ts'
import { DEFAULT_SNAPSHOT_TRIGGERS, SnapshotPolicy } from './snapshots/snapshot-policy.ts'
import { ReplicaCatalogue, restorableOf } from './upkeep/replica-catalogue.ts'
import { ReplicaUpkeep } from './upkeep/replica-upkeep.ts'
import type { PendingFile } from './upload/pending-file.ts'
import { ReplicaWriter } from './upload/replica-writer.ts'
import type { ShipperHooks } from './upload/shipper.ts'
import { createSpool } from './upload/spool.ts'

/**
 * Follows the WAL of one database into one replica, from start to stop: assembles what that takes,
 * runs the `ReplicationLoop`, and answers what callers ask about it.
 */
export class WalTracker {
  readonly name: string
  readonly #path: string
  readonly #context: EngineContext
  readonly #status: ReplicationStatus
  readonly #catalogue: ReplicaCatalogue
  readonly #claim: EpochClaim | undefined
  readonly #policy: SnapshotPolicy
  readonly #writer: ReplicaWriter
  readonly #upkeep: ReplicaUpkeep
  readonly #lifecycle: DatabaseLifecycle
  readonly #loop: ReplicationLoop
  readonly #wakeup = new Wakeup()
  readonly #abort = new AbortController()
  #starting: Promise<void> | undefined
  #running: Promise<void> | undefined
  readonly #waiters = new SyncWaiters()

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
      current: () => (this.#isAllShipped ? this.#status.shipped : undefined),
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
      beginListing: () => this.#upkeep.beginListing(),
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
    this.#loop = new ReplicationLoop({
      lifecycle: this.#lifecycle,
      writer: this.#writer,
      policy: this.#policy,
      upkeep: this.#upkeep,
      status: this.#status,
      waiters: this.#waiters,
      wakeup: this.#wakeup,
      pollMs,
      now,
      onIdle: () => context.onEvent({ type: 'idle', database: name }),
      signal: this.#abort.signal,
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
    this.#loop.open()
  }

  /** Device and inode of the file, to detect a database that was given twice. */
  get identity(): string | undefined {
    return this.#lifecycle.identity
  }

  /** Distinguishes the file from copies of it on other disks and machines; `undefined` where that is not possible. */
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
    this.#starting = this.#context.limits.start.run(() => this.#loop.prepareFirst())
    await this.#starting.catch((error: unknown) => {
      this.#waiters.end(error)
      throw error
    })
    this.#running = this.#loop.run()
    this.#running.catch(() => undefined)
  }

  /**
   * Resolves with the newest TXID in the store when everything that was committed before the call
   * is in the store. Waits while the store is unreachable or the database is missing.
   *
   * @throws FencedError, or a DatabaseError `Stopped` if replication ends before that
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
    await this.#running
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
    this.#loop.stop()
    const upkeepEnded = this.#upkeep.stop()
    const timer = setTimeout(
      () => this.#abort.abort(new Error('the time for the final sync is over')),
      timeoutMs,
    )
    try {
      try {
        await this.#starting
        await this.#running
      } finally {
        // Also after fencing: what upkeep has made on this machine must be gone when this ends.
        await upkeepEnded
      }
      await this.#loop.checkFiles()
      // Also one that could not be opened before: its last commits are not in the store.
      const { signal } = this.#abort
      if (this.#lifecycle.mustOpen()) await whileBusy(() => this.open(), signal)
      const done = await finalSync(
        this.#lifecycle.replicator,
        this.#writer.shipper,
        this.#wakeup,
        signal,
        () => this.#now(),
      )
      if (done) await this.#loop.answerLast()
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
    const { replicator } = this.#lifecycle
    const { pending } = this.#writer.shipper
    const catalogue = this.#catalogue
    const status = this.#status.report({
      path: this.#path,
      isOpen: replicator !== undefined,
      pendingFiles: pending.length,
      walBytes: replicator?.source.capture.walBytes() ?? 0,
      spoolBytes: this.#writer.spool.bytes,
      lagMs: this.#lagMs(now),
      replicaFiles: catalogue.count,
      replicaBytes: catalogue.bytes,
      restorable: undefined,
    })
    // Milliseconds for each database with a thousand files, and most of who asks do not look at it.
    const get = () => restorableOf(catalogue)
    return Object.defineProperty(status, 'restorable', { get, enumerable: true })
  }

  get #isAllShipped(): boolean {
    return this.#writer.shipper.pending.length === 0 && this.#lagMs(this.#now()) === 0
  }

  /** Age of the oldest known change that is not in the store. */
  #lagMs(now: number): number {
    const { pending } = this.#writer.shipper
    return now - (pending[0]?.noticedAt ?? this.#lifecycle.pace?.noticedAt(now) ?? now)
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
    this.#loop.fileShipped()
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

  #stopped(): DatabaseError {
    const message = `Replication of ${this.name} has ended before everything was in the store.`
    return new DatabaseError('Stopped', this.#path, message, {
      hint: 'The next start ships the rest.',
    })
  }
}
