import { randomInt } from 'node:crypto'
import { type Clock, systemClock } from '../async/clock.ts'
import { Limiter } from '../async/limiter.ts'
import { Wakeup } from '../async/wakeup.ts'
import { Checkpointer, currentBootId, DatabaseError, FolderWatch, isBusy } from '../db/index.ts'
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
  /** Rooted at the replica's prefix. The caller closes it. */
  readonly store: ObjectStore
  readonly layout: ReplicaLayout
  /** Checks once that the store enforces create-only puts; share it among the databases of one store. Default: one check per database. */
  readonly createOnlyCheck?: CreateOnlyCheck | undefined
}

export interface EngineOptions {
  readonly databases: readonly EngineDatabase[]
  readonly onEvent: (event: EngineEvent) => void
  /** How many databases stay open while they are idle; beyond that, idle ones are closed until they change. Default 50. */
  readonly maxOpen?: number | undefined
  /** How long a database must have been quiet before it is closed, in milliseconds. One that has not changed since the start need not wait. Default 30,000. */
  readonly idleAfterMs?: number | undefined
  /** Default: the clocks of this process. */
  readonly clock?: Clock | undefined
}

/** Uploads of whole databases that may run at once. */
const FULL_COPIES_AT_ONCE = 4
/** Replicas that may be listed, or get their first file, at once. */
const STARTS_AT_ONCE = 32
/** Replicas that may be compacted or pruned at once. */
const MAINTENANCE_AT_ONCE = 2
/**
 * How many databases are opened before anything is written, to find out whether they can be
 * replicated. Of the others only the header is read.
 */
const OPENED_FIRST = 32
const HOUR_MS = 3_600_000

/** Replicates many databases in one process. Each has its own loop, so a failing database does not delay the others. */
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
        drill: new Limiter(1),
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
   * Checks that every database can be replicated before it writes anything; one that is held
   * exclusively is waited for meanwhile. Resolves when each replica is up to date, or its store has turned out to be unreachable for now.
   *
   * @param databases more than the constructor was given
   * @throws DatabaseError if a database cannot be replicated or was given twice
   * @throws StoreError that a retry cannot fix
   */
  async start(databases: readonly EngineDatabase[] = []): Promise<void> {
    this.#trackers.push(...databases.map((database) => this.#tracker(database)))
    this.#refuseTwins()
    for (const tracker of this.#trackers) tracker.check()
    for (const tracker of this.#trackers.slice(0, OPENED_FIRST)) openUnlessBusy(tracker)
    const results = await Promise.allSettled(this.#trackers.map((tracker) => tracker.start()))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /**
   * Adds a database while the others keep running. Resolves as `start` does. If the database cannot
   * be replicated, it is removed again.
   *
   * @throws DatabaseError if it cannot be replicated or already is
   * @throws StoreError that a retry cannot fix
   */
  async add(database: EngineDatabase): Promise<void> {
    const tracker = this.#tracker(database)
    const { identity } = tracker
    const twin = identity && this.#trackers.find((other) => other.identity === identity)
    this.#trackers.push(tracker)
    this.#added.call()
    try {
      // Before anything is opened: closing a descriptor of a file drops all of this process's locks on it.
      if (twin) throw sameFile(twin, tracker)
      tracker.check()
      await tracker.start()
    } catch (error) {
      this.#drop(tracker)
      await tracker.close()
      throw error
    }
  }

  /**
   * Ships what one database has committed so far, then closes it. The others keep running.
   *
   * @param timeoutMs how long shipping may take
   * @returns whether everything was shipped in time; true for an unknown name
   */
  async remove(name: string, timeoutMs: number): Promise<boolean> {
    const tracker = this.#trackers.find((candidate) => candidate.name === name)
    if (tracker === undefined) return true
    this.#drop(tracker)
    try {
      return await tracker.stop(timeoutMs)
    } finally {
      // A reload may start it again, and as long as its log is in place it needs no new base.
      await tracker.close(true)
    }
  }

  /**
   * Settles when replication of the last database has ended, whether by `stop` or because it was
   * fenced. While there is no database, waits for one. A fenced database does not end the others.
   *
   * @throws FencedError if a database was fenced
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

  /**
   * Ships immediately. Resolves when everything committed before the call is in the stores, with
   * each replica's TXID in the order of the databases.
   */
  sync(): Promise<(TXID | undefined)[]> {
    return Promise.all(this.#trackers.map((tracker) => tracker.sync()))
  }

  /**
   * Resolves with the replica's TXID when everything that one database had committed before the
   * call is in the store. `undefined` for an unknown name.
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
   * @param timeoutMs how long shipping may take
   * @returns names of the databases that were not shipped completely in time
   * @throws FencedError after all have ended, if a newer writer owns one of the replicas
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

  /** Closes the SQLite connections, for a process that keeps running after `stop`. */
  async close(): Promise<void> {
    for (const tracker of this.#trackers) await tracker.close()
    await this.#checkpointer.close()
  }

  /**
   * Files of one database's replica, as this process knows them. `undefined` for an unknown name.
   */
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
      if (twin !== undefined) throw sameFile(twin, tracker)
      seen.set(identity, tracker)
    }
  }
}

/** What holds it may let it go soon: `start` waits for that. */
function openUnlessBusy(tracker: WalTracker): void {
  try {
    tracker.open()
  } catch (error) {
    if (!isBusy(error)) throw error
  }
}

function sameFile(twin: WalTracker, tracker: WalTracker): DatabaseError {
  const message = `${twin.name} and ${tracker.name} are the same database file.`
  return new DatabaseError('Unsupported', tracker.status().path, message, {
    hint: 'Give each database once.',
  })
}
