import { randomInt } from 'node:crypto'
import { type Clock, systemClock } from '../async/clock.ts'
import { Limiter } from '../async/limiter.ts'
import { Wakeup } from '../async/wakeup.ts'
import { Checkpointer, currentBootId, DatabaseError, FolderWatch } from '../db/index.ts'
import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
import type { ObjectStore } from '../store/index.ts'
import type { SyncRequest } from './capture/sync-waiters.ts'
import { type EngineEvent, FencedError } from './events.ts'
import { IdlePool } from './idle/idle-pool.ts'
import type { EngineContext, TrackerOptions } from './options.ts'
import type { DatabaseStatus } from './replication-status.ts'
import { WalTracker } from './wal-tracker.ts'

export interface EngineDatabase extends TrackerOptions {
  /** Rooted at the replica's prefix; stays the caller's to close. */
  readonly store: ObjectStore
  readonly layout: ReplicaLayout
  /** What is known of the store's conditional writes: one for all databases of a store. Default: one for each database. */
  readonly createOnlyCheck?: CreateOnlyCheck | undefined
}

export interface EngineOptions {
  readonly databases: readonly EngineDatabase[]
  readonly onEvent: (event: EngineEvent) => void
  /** How many databases are held open while they have nothing to do; those beyond are let go. Default 50. */
  readonly maxOpen?: number | undefined
  /** How long a database must have been quiet to be let go, in milliseconds; one that was never seen to change need not wait. Default 30,000. */
  readonly idleAfterMs?: number | undefined
  /** Default: the clocks of this process. */
  readonly clock?: Clock | undefined
}

/** Uploads of whole databases that run at once. */
const FULL_COPIES_AT_ONCE = 4
/** Replicas whose end is looked for, or whose first file is stored, at once. */
const STARTS_AT_ONCE = 32
/** Replicas that are compacted or pruned at once. */
const MAINTENANCE_AT_ONCE = 2
/** Databases that are opened to see whether all can be, before anything is written; of more only the header is read. */
const OPENED_FIRST = 32
const HOUR_MS = 3_600_000

/** Replicates many databases in one process; each has a loop of its own, so that one in trouble delays no other. */
export class Engine {
  readonly #trackers: WalTracker[]
  readonly #context: EngineContext
  readonly #checkpointer = new Checkpointer()
  readonly #added = new Wakeup()
  #stopped = false

  constructor({ databases, onEvent, maxOpen, idleAfterMs, clock = systemClock }: EngineOptions) {
    this.#context = {
      checkpointer: this.#checkpointer,
      limits: {
        fullCopy: new Limiter(FULL_COPIES_AT_ONCE),
        start: new Limiter(STARTS_AT_ONCE),
        maintenance: new Limiter(MAINTENANCE_AT_ONCE),
        verify: new Limiter(1),
      },
      idlePool: new IdlePool(maxOpen, idleAfterMs),
      folders: new FolderWatch(),
      onEvent,
      failing: new Set(),
      nodeId: BigInt(randomInt(1, 2 ** 32)),
      bootId: currentBootId(),
      clock,
    }
    this.#trackers = databases.map((database) => this.#tracker(database))
  }

  /**
   * Opens every database, and only if all can be opened starts to write. Resolves when each replica
   * is being kept up to date, or its store is known to be out of reach for now.
   *
   * @param databases more than the constructor was given
   * @throws DatabaseError for a database that cannot be replicated, or that was given twice
   * @throws StoreError that trying again cannot mend
   */
  async start(databases: readonly EngineDatabase[] = []): Promise<void> {
    this.#trackers.push(...databases.map((database) => this.#tracker(database)))
    this.#refuseTwins()
    for (const tracker of this.#trackers) tracker.check()
    for (const tracker of this.#trackers.slice(0, OPENED_FIRST)) tracker.open()
    const results = await Promise.allSettled(this.#trackers.map((tracker) => tracker.start()))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /**
   * Takes one more database while the others go on. Resolves as `start` does. If it cannot be
   * replicated, nothing of it stays.
   *
   * @throws DatabaseError for a database that cannot be replicated, or is replicated already
   * @throws StoreError that trying again cannot mend
   */
  async add(database: EngineDatabase): Promise<void> {
    const tracker = this.#tracker(database)
    this.#trackers.push(tracker)
    this.#added.call()
    try {
      // Before anything is opened: closing a descriptor of a file drops all of this process's locks on it.
      this.#refuseTwins()
      tracker.check()
      await tracker.start()
    } catch (error) {
      this.#drop(tracker)
      await tracker.close()
      throw error
    }
  }

  /**
   * Ships what one database has committed until now and lets it go; the others go on. Its SQLite
   * connections are closed: it is no longer ours.
   *
   * @returns whether everything was shipped within the time; true for a name that is not there
   */
  async remove(name: string, timeoutMs: number): Promise<boolean> {
    const tracker = this.#trackers.find((candidate) => candidate.name === name)
    if (tracker === undefined) return true
    this.#drop(tracker)
    try {
      return await tracker.stop(timeoutMs)
    } finally {
      // A reload starts it again: with the log in place that needs no new base.
      await tracker.close(true)
    }
  }

  /**
   * Settles when the last database has ended by itself, or by `stop`; an engine that has none at the
   * moment waits for the next. One that was fenced does not end the others.
   *
   * @throws FencedError if one was
   */
  async done(): Promise<void> {
    for (;;) {
      const trackers = [...this.#trackers]
      const results = await Promise.allSettled(trackers.map((tracker) => tracker.done()))
      const same = trackers.every((tracker) => this.#trackers.includes(tracker))
      if (same && trackers.length === this.#trackers.length && trackers.length > 0) {
        const fenced = results.find((result) => result.status === 'rejected')
        if (fenced !== undefined) throw fenced.reason
        return
      }
      if (this.#stopped) return
      if (this.#trackers.length === 0) await this.#added.sleep(HOUR_MS)
    }
  }

  /** Ships at once. Resolves with each replica's TXID, in the order given, when all that was committed before the call is in the stores. */
  sync(): Promise<(TXID | undefined)[]> {
    return Promise.all(this.#trackers.map((tracker) => tracker.sync()))
  }

  /**
   * Resolves with the replica's TXID when everything that one database had committed before the call
   * is in the store. `undefined` for a name that is not there.
   *
   * @throws FencedError, DatabaseError `Stopped`, or the reason of the signal
   */
  syncOne(name: string, request: SyncRequest): Promise<TXID | undefined> | undefined {
    return this.#trackers.find((tracker) => tracker.name === name)?.sync(request)
  }

  /**
   * Ships what was committed until now, for all databases at once, and ends. SQLite connections stay
   * open until the process ends or `close` is called.
   *
   * @returns names of the databases that could not be shipped in full within the time
   * @throws FencedError if a newer writer has one of the replicas, after all have ended
   */
  async stop(timeoutMs: number): Promise<string[]> {
    this.#stopped = true
    this.#added.call()
    const trackers = [...this.#trackers]
    const results = await Promise.allSettled(trackers.map((tracker) => tracker.stop(timeoutMs)))
    for (const result of results) {
      if (result.status === 'rejected' && result.reason instanceof FencedError) throw result.reason
    }
    return trackers
      .filter((_, i) => !(results[i]?.status === 'fulfilled' && results[i].value))
      .map(({ name }) => name)
  }

  /** Closes the SQLite connections, for a process that goes on after `stop`. */
  async close(): Promise<void> {
    for (const tracker of this.#trackers) await tracker.close()
    await this.#checkpointer.close()
  }

  /** Files of one database's replica, as this process knows them. `undefined` for a name that is not there. */
  files(name: string): readonly LtxFileInfo[] | undefined {
    return this.#trackers.find((tracker) => tracker.name === name)?.files()
  }

  status(): DatabaseStatus[] {
    return this.#trackers.map((tracker) => tracker.status())
  }

  #tracker({ store, layout, createOnlyCheck, ...options }: EngineDatabase): WalTracker {
    return new WalTracker(store, layout, options, this.#context, createOnlyCheck)
  }

  #drop(tracker: WalTracker): void {
    const at = this.#trackers.indexOf(tracker)
    if (at !== -1) this.#trackers.splice(at, 1)
  }

  #refuseTwins(): void {
    const seen = new Map<string, WalTracker>()
    for (const tracker of this.#trackers) {
      const { identity } = tracker
      if (identity === undefined) continue
      const twin = seen.get(identity)
      if (twin !== undefined) {
        const message = `${twin.name} and ${tracker.name} are the same database file.`
        throw new DatabaseError('Unsupported', tracker.status().path, message, {
          hint: 'Give each database once.',
        })
      }
      seen.set(identity, tracker)
    }
  }
}
