import { basename, dirname, join } from 'node:path'
import { DatabaseError, SourceDatabase, WalWatcher } from '../db/index.ts'
import { formatTxid, type TXID } from '../ltx/index.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { ObjectStore } from '../store/index.ts'
import { Backoff } from './backoff.ts'
import { FencedError } from './events.ts'
import { ReplicaWriter } from './replica-writer.ts'
import type { PendingFile } from './shipper.ts'
import { SnapshotPolicy } from './snapshot-policy.ts'
import { Spool } from './spool.ts'
import { TrackedDatabase } from './tracked-database.ts'
import type { DatabaseStatus, TrackerContext, TrackerOptions } from './tracker-options.ts'
import { Wakeup } from './wakeup.ts'

/** How often a busy database is looked at between two syncs, in milliseconds: its WAL may fill quickly. */
const BUSY_TICK_MS = 25
/** After a file event the commit may not be published yet: looked for again after 1, 2, 4 … ms, up to this. */
const LAST_PROBE_MS = 256
/** A database that has become quiet is looked at again after 8, 16, 32 … ms: a checkpoint of the application may be waiting for the read mark. */
const FIRST_QUIET_PROBE_MS = 8
/** A final sync under writes that never pause ends after this, in milliseconds. */
const FINAL_SYNC_MS = 5000

/**
 * Tracks one database's WAL into its replica: looks at once on a file event, then at most once per
 * sync interval while writes go on; ships what was committed; lets the WAL be checkpointed when it
 * is shipped; takes a new base where continuity cannot be proven. It ends by itself only when
 * another writer has taken the replica over.
 */
export class WalTracker {
  readonly name: string
  readonly #path: string
  readonly #syncMs: number
  readonly #pollMs: number
  readonly #maxWalBytes: number
  readonly #context: TrackerContext
  readonly #writer: ReplicaWriter
  readonly #policy: SnapshotPolicy
  readonly #wakeup = new Wakeup()
  readonly #backoff = new Backoff()
  readonly #abort = new AbortController()
  #database: TrackedDatabase | undefined
  #watcher: WalWatcher | undefined
  #loop: Promise<void> | undefined
  #stopping = false
  readonly #syncWaiters: ((txid: TXID | undefined) => void)[] = []
  #shippedSomething = true
  #nextSyncAt = 0
  #nextCheckAt = 0
  #noticedAt: number | undefined
  #probeMs = LAST_PROBE_MS * 2
  #waitingFor: string | undefined
  #state: DatabaseStatus['state'] = 'starting'
  #shipped: TXID | undefined
  #lastSyncAt: Date | undefined
  #lastError: string | undefined

  /** @param store rooted at the replica's prefix */
  constructor(
    store: ObjectStore,
    layout: ReplicaLayout,
    options: TrackerOptions,
    context: TrackerContext,
  ) {
    const { name, path } = options
    this.name = name
    this.#path = path
    this.#syncMs = options.syncIntervalMs ?? 1000
    this.#pollMs = options.pollIntervalMs ?? 1000
    this.#maxWalBytes = options.maxWalBytes ?? 64 << 20
    this.#context = context
    const spoolDir = options.spoolDir ?? join(dirname(path), `.${basename(path)}-walsync`)
    const spool = new Spool(spoolDir, options.maxSpoolBytes ?? 1 << 30)
    const intervalMs = options.snapshotIntervalMs ?? 3_600_000
    this.#policy = new SnapshotPolicy(store, layout, { intervalMs })
    this.#writer = new ReplicaWriter(name, store, layout, spool, context, {
      onShipped: (file, bytes) => this.#onShipped(file, bytes),
      onTaken: (file) => this.#onTaken(file),
      onEvent: context.onEvent,
      wake: () => this.#wakeup.call(),
    })
  }

  /**
   * Opens the database; nothing is written yet. An empty file is waited for.
   *
   * @throws DatabaseError
   */
  open(): void {
    const source = SourceDatabase.open(this.#path)
    if (source === undefined) {
      this.#wait('the database is empty')
      return
    }
    this.#watcher = new WalWatcher(source.wal.path, () => this.#onFileEvent())
    this.#waitingFor = undefined
    this.#database = new TrackedDatabase(source, {
      name: this.name,
      writer: this.#writer,
      policy: this.#policy,
      maxWalBytes: this.#maxWalBytes,
      ...this.#context,
    })
  }

  /** Device and inode of the open file, to find one database given twice. */
  get identity(): string | undefined {
    const file = this.#database?.source.file
    return file && `${file.device}:${file.inode}`
  }

  /**
   * Finds the replica's end (or takes a base) and starts the loop. Resolves when the replica is being
   * kept up to date, or, if the store is out of reach for now, when that is known and will be tried again.
   *
   * @throws StoreError that trying again cannot mend: no such bucket, no permission; FencedError
   */
  async start(): Promise<void> {
    if (this.#database !== undefined) {
      try {
        await this.#prepare(this.#database)
      } catch (error) {
        if ((error as { retryable?: boolean }).retryable !== true) throw error
        await this.#recover(error)
      }
    }
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
    await this.#loop
  }

  /**
   * Ships what was committed until now and ends. The SQLite connections stay open: the last one to
   * close would delete the WAL, and with it the proof that the next start can go on from here.
   *
   * @returns whether everything was shipped within the time
   */
  async stop(timeoutMs: number): Promise<boolean> {
    this.#stopping = true
    this.#wakeup.call()
    const timer = setTimeout(
      () => this.#abort.abort(new Error('the time for the final sync is over')),
      timeoutMs,
    )
    try {
      await this.#loop
      return await this.#finalSync()
    } finally {
      for (const done of this.#syncWaiters.splice(0)) done(this.#shipped)
      clearTimeout(timer)
      this.#watcher?.disarm()
      this.#state = this.#state === 'fenced' ? 'fenced' : 'stopped'
    }
  }

  /** Closes the SQLite connections, for a process that goes on after `stop`. */
  async close(): Promise<void> {
    await this.#database?.close()
    this.#database = undefined
  }

  status(): DatabaseStatus {
    const pendingFiles = this.#writer.shipper.pending.length
    return {
      name: this.name,
      path: this.#path,
      state: this.#state === 'replicating' && pendingFiles > 1 ? 'behind' : this.#state,
      txid: this.#shipped,
      lastSyncAt: this.#lastSyncAt,
      pendingFiles,
      walBytes: this.#database?.source.capture.walBytes() ?? 0,
      spoolBytes: this.#writer.spool.bytes,
      lastError: this.#lastError,
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      let waitMs: number
      try {
        waitMs = await this.#turn(Date.now())
      } catch (error) {
        waitMs = await this.#recover(error)
      }
      await this.#wakeup.sleep(waitMs)
    }
  }

  /** One look at everything that may be due. Returns how long to wait until the next, in milliseconds. */
  async #turn(now: number): Promise<number> {
    if (now >= this.#nextCheckAt) {
      this.#nextCheckAt = now + this.#pollMs
      if (this.#database?.source.file.isCurrent() === false) await this.#leave()
      if (this.#database === undefined) this.#reopen()
    }
    const database = this.#database
    const { shipper } = this.#writer
    shipper.pump(now)
    if (shipper.pending.length > 0) return await this.#whileShipping(database, now)
    if (database === undefined) return this.#pollMs
    if (database.needsPreparing) return await this.#prepare(database)
    if (this.#shippedSomething) {
      this.#shippedSomething = false
      await database.checkpoint(now)
      if (shipper.pending.length > 0) return 0
      database.startSnapshot(now, this.#abort.signal, () => this.#wakeup.call())
    }
    const walBytes = database.source.capture.walBytes()
    const mayWait = this.#syncWaiters.length === 0 && !database.checkpoints.pressing(now, walBytes)
    if (now < this.#nextSyncAt && mayWait) {
      database.settle()
      return Math.min(BUSY_TICK_MS, this.#nextSyncAt - now)
    }
    const waiting = this.#syncWaiters.length
    if (await this.#captureNow(database, now)) return 0
    for (const done of this.#syncWaiters.splice(0, waiting)) done(this.#shipped)
    return await this.#beQuiet(database, now)
  }

  async #captureNow(database: TrackedDatabase, now: number): Promise<boolean> {
    if (!(await database.capture(this.#noticedAt ?? now))) return false
    this.#noticedAt = undefined
    this.#probeMs = FIRST_QUIET_PROBE_MS
    this.#watcher?.disarm()
    this.#nextSyncAt = now + this.#syncMs
    this.#writer.shipper.pump(now)
    return true
  }

  /** Nothing to ship: waits for the next file event, with polling behind it. */
  async #beQuiet(database: TrackedDatabase, now: number): Promise<number> {
    database.settle()
    if (this.#probeMs <= LAST_PROBE_MS) {
      const waitMs = this.#probeMs
      this.#probeMs *= 2
      return waitMs
    }
    if (this.#watcher?.isArmed === false && this.#watcher.arm()) {
      // A commit may have come before the watch stood.
      if (await this.#captureNow(database, now)) return 0
    }
    this.#shippedSomething = true
    return this.#pollMs
  }

  async #whileShipping(database: TrackedDatabase | undefined, now: number): Promise<number> {
    await database?.relieve(now)
    const untilRetry = this.#writer.shipper.retryAt - now
    return untilRetry > 0 ? Math.min(untilRetry, 250) : BUSY_TICK_MS
  }

  async #prepare(database: TrackedDatabase): Promise<number> {
    const outcome = await database.prepare(this.#abort.signal)
    if (outcome === 'empty') {
      this.#wait('the database is empty')
      return this.#pollMs
    }
    if (outcome === 'again') return 0
    this.#waitingFor = undefined
    this.#state = 'replicating'
    this.#shipped = this.#writer.captured
    this.#backoff.reset()
    return 0
  }

  /** The file at the path is another one, or gone: ships what can still be read of the old one and lets it go. */
  async #leave(): Promise<void> {
    const database = this.#database
    if (database === undefined) return
    if (!database.needsPreparing) await this.#captureNow(database, Date.now())
    await this.#writer.releaseWal(database.source)
    this.#watcher?.disarm()
    this.#database = undefined
    await database.close()
    this.#wait('the database was replaced or deleted')
  }

  #reopen(): void {
    try {
      this.open()
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== 'MissingFile') throw error
      this.#wait('there is no database at the path')
    }
  }

  #wait(reason: string): void {
    this.#state = 'waiting'
    if (this.#waitingFor === reason) return
    this.#waitingFor = reason
    this.#context.onEvent({ type: 'waiting', database: this.name, reason })
  }

  /** Errors end nothing but fencing: they are told, and the same is tried again after a pause. Returns the pause. */
  async #recover(error: unknown): Promise<number> {
    if (this.#stopping) return 0
    this.#lastError = error instanceof Error ? error.message : String(error)
    if (error instanceof FencedError) {
      this.#state = 'fenced'
      this.#context.onEvent({ type: 'fenced', database: this.name, error })
      throw error
    }
    if (error instanceof DatabaseError && error.code === 'ContinuityLost') {
      await this.#database?.loseContinuity(error.message)
      return 0
    }
    const retryInMs = this.#backoff.next()
    const type = isFromStore(error) ? 'store-error' : 'database-error'
    this.#context.onEvent({ type, database: this.name, error, retryInMs })
    return retryInMs
  }

  async #finalSync(): Promise<boolean> {
    const database = this.#database
    const { shipper } = this.#writer
    const until = Date.now() + FINAL_SYNC_MS
    const { signal } = this.#abort
    while (!signal.aborted) {
      const now = Date.now()
      shipper.pump(now)
      if (shipper.pending.length > 0) {
        await Promise.race([
          this.#wakeup.sleep(Math.max(1, shipper.retryAt - now)),
          aborted(signal),
        ])
        continue
      }
      if (database === undefined) return true
      try {
        if (database.needsPreparing) {
          if ((await database.prepare(signal)) === 'empty') return true
        } else if (now > until || !(await database.capture(now))) return true
      } catch (error) {
        if (!(error instanceof DatabaseError) || error.code !== 'ContinuityLost') throw error
        await database.loseContinuity(error.message)
      }
    }
    return false
  }

  async #onTaken(file: PendingFile): Promise<void> {
    if (this.#database !== undefined) return await this.#database.adopt(file.txid)
    const message = `Another writer has taken over the replica of ${this.name}.`
    throw new FencedError(this.name, formatTxid(file.txid), message)
  }

  #onFileEvent(): void {
    this.#noticedAt ??= Date.now()
    this.#probeMs = 1
    this.#wakeup.call()
  }

  #onShipped(file: PendingFile, bytes: number): void {
    const now = Date.now()
    if (file.uncaptured !== undefined) this.#database?.source.capture.advance(file.uncaptured)
    this.#shipped = file.txid
    this.#lastSyncAt = new Date(now)
    this.#shippedSomething = true
    this.#lastError = undefined
    const ms = now - file.noticedAt
    const { txid, pages } = file
    this.#context.onEvent({ type: 'synced', database: this.name, txid, bytes, pages, ms })
  }
}

function isFromStore(error: unknown): boolean {
  return (error as { name?: string } | undefined)?.name === 'StoreError'
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
