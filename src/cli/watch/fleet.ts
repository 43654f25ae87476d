import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { enableWal } from '../../core/db/index.ts'
import type { SyncRequest } from '../../core/engine/capture/sync-waiters.ts'
import type { Engine, EngineDatabase } from '../../core/engine/engine.ts'
import { type EngineEvent, FencedError } from '../../core/engine/events.ts'
import type { TXID } from '../../core/ltx/index.ts'
import { isStoreError } from '../../core/store/index.ts'
import type { DrillRecord } from './drill-history.ts'
import type { FleetEvent } from './fleet-event.ts'
import { FleetMember } from './fleet-member.ts'
import { type FleetStatus, fleetStatus } from './fleet-status.ts'
import type { HandOver } from './hand-over.ts'
import type { RefusedFile, ResolvedDatabases, WantedDatabase } from './resolve-databases.ts'
import { StandbyQueue } from './standby-queue.ts'
import { WaitingDatabase } from './waiting-database.ts'
import type { WatchedDatabase } from './watched-database.ts'

export interface FleetParts {
  readonly engine: Pick<Engine, 'add' | 'remove' | 'stop' | 'status' | 'syncOne'>
  /** Its store has been opened. */
  readonly prepare: (database: WatchedDatabase) => EngineDatabase
  readonly onEvent: (event: FleetEvent) => void
  /** Default: nothing is handed over. */
  readonly handOver?: HandOver | undefined
  /** The last restore drill of a database. Default: there are none. */
  readonly lastDrill?: ((name: string) => DrillRecord | undefined) | undefined
}

/** Names of databases, by what a new set of wanted databases changes for them. */
export interface FleetChanges {
  readonly added: string[]
  readonly changed: string[]
  readonly removed: string[]
  readonly unchanged: string[]
}

/**
 * How often to check whether a database that a caller waits for has been started, in milliseconds.
 */
const SYNC_RETRY_MS = 25

/**
 * Keeps what the engine replicates in line with what should be replicated: starts missing databases
 * as soon as their files are suitable, ends those that are no longer wanted, restarts those that
 * have changed, and leaves all others alone. A failing database does not delay the others.
 */
export class Fleet {
  readonly #parts: FleetParts
  readonly #members = new Map<string, FleetMember>()
  readonly #waiting = new Map<string, WaitingDatabase>()
  /** Why the engine is waiting, or last was, for the file of a database, by name. */
  readonly #reasons = new Map<string, string>()
  /** Databases that another process replicates. */
  readonly #standbys: StandbyQueue
  /** Why a database must not be started yet, by name. */
  readonly #held = new Map<string, string>()
  readonly #fenced = Promise.withResolvers<never>()
  #wanted: readonly WantedDatabase[] = []
  #refused: readonly RefusedFile[] = []
  #endMs = 0
  #isStopping = false
  #soon: NodeJS.Immediate | undefined
  #fencedAtEnd: FencedError | undefined

  constructor(parts: FleetParts) {
    this.#parts = parts
    const { handOver, onEvent } = parts
    this.#standbys = new StandbyQueue({ handOver, onEvent, onFree: (now) => this.reconcile(now) })
    this.#fenced.promise.catch(() => undefined)
  }

  /** Registers the databases that the engine was started with. */
  setRunning(wanted: readonly WantedDatabase[]): void {
    for (const { database } of wanted) {
      this.#members.set(database.name, new FleetMember(database, 'running'))
      this.#parts.handOver?.started(database.name)
    }
    this.#wanted = wanted
  }

  /** Prevents a database from being started until `release`, whatever its file is. */
  hold(name: string, reason: string): void {
    this.#held.set(name, reason)
  }

  release(name: string): void {
    if (this.#held.delete(name)) this.#reconcileSoon()
  }

  isRunning(path: string): boolean {
    for (const { database } of this.#members.values()) if (database.path === path) return true
    return false
  }

  /**
   * Sets the databases that should be replicated from now on.
   *
   * @param endMs time limit for the final sync of a database that is removed
   */
  setWanted({ databases: wanted, refused }: ResolvedDatabases, endMs: number): FleetChanges {
    this.#endMs = endMs
    this.#refused = refused
    const before = new Map(this.#wanted.map(({ database }) => [database.name, database]))
    this.#wanted = wanted.map(({ database, kind }) => {
      const member = this.#members.get(database.name)?.database
      return { database: isDeepStrictEqual(member, database) && member ? member : database, kind }
    })
    const after = new Map(wanted.map(({ database }) => [database.name, database]))
    const removed = [...before.keys()].filter(
      (name) => !after.has(name) && !this.#isUnrelatedFile(name),
    )
    for (const name of removed) {
      this.#standbys.remove(name)
      if (!this.#members.has(name)) this.#parts.handOver?.release(name)
    }
    for (const name of this.#waiting.keys()) {
      if (!isDeepStrictEqual(before.get(name), after.get(name))) this.#waiting.delete(name)
    }
    this.reconcile()
    const changes: FleetChanges = { added: [], changed: [], unchanged: [], removed }
    for (const { database } of wanted) {
      const known = before.get(database.name)
      if (this.#isUnrelatedFile(database.name)) continue
      if (known === undefined) changes.added.push(database.name)
      else if (isDeepStrictEqual(known, database)) changes.unchanged.push(database.name)
      else changes.changed.push(database.name)
    }
    return changes
  }

  /** Starts and ends whatever can be started and ended now. Cheap if there is nothing to do. */
  reconcile(now: number = Date.now()): void {
    if (this.#isStopping || this.#isInLine()) return
    const wanted = new Map(this.#wanted.map(({ database }) => [database.name, database]))
    for (const member of this.#members.values()) {
      if (wanted.get(member.database.name) === member.database) continue
      if (member.phase === 'running' || member.phase === 'fenced') {
        this.#end(member, wanted.has(member.database.name))
      }
    }
    const missing = this.#wanted.filter(({ database }) => !this.#members.has(database.name))
    if (missing.length > 0) this.#startReady(missing, now)
    this.#checkFenced()
  }

  /**
   * The engine's events pass through here, because they show when a file was closed and when a
   * writer was fenced.
   */
  onEngineEvent(event: EngineEvent): void {
    const member = this.#members.get(event.database)
    if (event.type === 'waiting') {
      member?.released()
      this.#reasons.set(event.database, event.reason)
    }
    if (event.type === 'fenced' && member !== undefined) {
      member.phase = 'fenced'
      member.fenced = event.error
    }
    this.#parts.onEvent(event)
    if (event.type !== 'fenced') return
    if (member !== undefined && event.error.wantsLock) this.#standDown(member)
    this.#checkFenced()
  }

  /** Resolves when nothing is being started. */
  async settled(): Promise<void> {
    const adding = [...this.#members.values()].filter(({ phase }) => phase === 'adding')
    await Promise.all(adding.map(({ work }) => work))
  }

  /** Never resolves. @throws FencedError when other writers have taken over every replica */
  done(): Promise<never> {
    return this.#fenced.promise
  }

  /** Why one of the databases is no longer replicated: another writer owns its replica. */
  get fenced(): FencedError | undefined {
    const members = [...this.#members.values()]
    return this.#fencedAtEnd ?? members.find(({ fenced }) => fenced !== undefined)?.fenced
  }

  /**
   * Ships what was committed until now and ends.
   *
   * @returns names of the databases that could not be shipped in full within the time
   */
  async stop(timeoutMs: number): Promise<string[]> {
    this.#isStopping = true
    clearImmediate(this.#soon)
    this.#standbys.stop()
    const ending = [...this.#members.values()].filter(({ phase }) => phase === 'ending')
    const [unshipped] = await Promise.all([
      this.#stopEngine(timeoutMs),
      ...ending.map(({ work }) => work),
    ])
    await this.#parts.handOver?.passOn()
    const lost = ending.filter(({ error }) => error !== undefined).map((m) => m.database.name)
    return [...unshipped, ...lost]
  }

  /**
   * Resolves when everything that a database had committed before the call is in its store. Waits
   * for a database that does not exist yet or cannot be replicated now.
   *
   * @returns the newest TXID in the store
   * @throws FencedError, DatabaseError `Stopped` when this process ends, or the reason of the signal
   */
  async sync(name: string, request: SyncRequest): Promise<TXID | undefined> {
    for (;;) {
      try {
        const synced = this.#parts.engine.syncOne(name, request)
        if (synced !== undefined) return await synced
      } catch (error) {
        const isOver = error instanceof FencedError || this.#isStopping
        if (isOver || request.signal?.aborted) throw error
        // It could not be started, or is being restarted with other settings.
      }
      const fenced = this.#members.get(name)?.fenced
      if (fenced !== undefined) throw fenced
      await delay(SYNC_RETRY_MS, undefined, { signal: request.signal })
    }
  }

  status(now: number = Date.now()): FleetStatus[] {
    return fleetStatus(
      {
        members: [...this.#members.values()],
        wanted: this.#wanted,
        refused: this.#refused,
        waiting: this.#waiting,
        reasons: this.#reasons,
        held: this.#held,
        standby: (name) => this.#parts.handOver?.standby(name),
        lastDrill: (name) => this.#parts.lastDrill?.(name),
        engine: this.#parts.engine.status(),
      },
      now,
    )
  }

  /** Is exactly what is wanted being replicated? Checked every poll interval. */
  #isInLine(): boolean {
    if (this.#members.size !== this.#wanted.length) return false
    return this.#wanted.every(({ database }) => {
      const member = this.#members.get(database.name)
      return member?.database === database && member.phase === 'running'
    })
  }

  #isUnrelatedFile(name: string): boolean {
    return this.#waiting.get(name)?.isUnrelatedFile === true
  }

  async #stopEngine(timeoutMs: number): Promise<string[]> {
    try {
      return await this.#parts.engine.stop(timeoutMs)
    } catch (error) {
      if (!(error instanceof FencedError)) throw error
      this.#fencedAtEnd = error
      return []
    }
  }

  /**
   * A file or a replica that another member still uses must be released first; the end of that
   * member calls this again.
   */
  #startReady(missing: readonly WantedDatabase[], now: number): void {
    const members = [...this.#members.values()]
    const held = new Set<string>()
    for (const member of members) {
      member.look()
      for (const identity of member.identities) held.add(identity)
    }
    const paths = new Set(members.map(({ database }) => database.path))
    const replicas = new Set(members.map(({ database }) => database.replica))
    for (const { database, kind } of missing) {
      if (paths.has(database.path) || replicas.has(database.replica)) continue
      if (this.#held.has(database.name) || !this.#standbys.mayReplicate(database, now)) continue
      const waiting = this.#waiting.get(database.name) ?? new WaitingDatabase(database.path, kind)
      this.#waiting.set(database.name, waiting)
      if (waiting.isReady(now, (identity) => held.has(identity))) {
        for (const identity of this.#start(database, waiting).identities) held.add(identity)
      }
      if (waiting.isNotWal && database.settings.enableWal) enableWal(database.path)
      const reason = waiting.takeStatusChange()
      if (reason === undefined) continue
      this.#parts.onEvent({ type: 'waiting', database: database.name, reason })
    }
  }

  /**
   * A newer writer of the very same file has taken over by force: yields the lock to it and stands
   * by. A writer that does not want this lock would be fenced in turn, and so on forever.
   */
  #standDown(member: FleetMember): void {
    const { name } = member.database
    if (!this.#standbys.yieldLock(name, Date.now())) return
    member.phase = 'ending'
    member.work = this.#parts.engine
      .remove(name, 0)
      .catch(() => false)
      .then(() => {
        this.#members.delete(name)
        this.#reconcileSoon()
      })
  }

  #start(database: WatchedDatabase, waiting: WaitingDatabase): FleetMember {
    const { name, path } = database
    const member = new FleetMember(database, 'adding')
    const added = { type: 'database-added', database: name, path } as const
    const isRetry = waiting.hasFailed
    this.#members.set(name, member)
    const work = this.#add(member).then(() => {
      if (isRetry) this.#parts.onEvent(added)
    })
    member.work = work.catch((error: unknown) => {
      if (error instanceof FencedError) {
        member.phase = 'fenced'
        member.fenced = error
        member.released()
        this.#parts.handOver?.release(name)
        this.#parts.onEvent({ type: 'fenced', database: name, error })
      } else if (!this.#isStopping) {
        this.#members.delete(name)
        const { retryInMs, isNew } = waiting.failed(error, Date.now())
        const type = isStoreError(error) ? 'store-error' : 'database-error'
        const event = { database: name, during: 'replication', error, retryInMs } as const
        if (isNew) this.#parts.onEvent({ type, ...event })
      }
    })
    member.work = member.work.then(() => this.#reconcileSoon())
    // Each attempt of a database that cannot be opened would read like a start.
    if (!isRetry) this.#parts.onEvent(added)
    return member
  }

  async #add(member: FleetMember): Promise<void> {
    await this.#parts.engine.add(this.#parts.prepare(member.database))
    if (member.phase === 'adding') member.phase = 'running'
    this.#parts.handOver?.started(member.database.name)
    this.#waiting.delete(member.database.name)
  }

  #end(member: FleetMember, isChanged: boolean): void {
    const { name, path } = member.database
    const wasFenced = member.phase === 'fenced'
    const isGone = !existsSync(path)
    member.phase = 'ending'
    const remove = async () => {
      const isComplete = await this.#parts.engine.remove(name, this.#endMs)
      if (!isComplete) member.error = new Error('the final sync did not end in time')
      return isComplete
    }
    member.work = remove()
      .catch((error: unknown) => {
        if (!(wasFenced && error instanceof FencedError)) member.error = error
        return false
      })
      .then((isComplete) => {
        this.#members.delete(name)
        this.#parts.handOver?.release(name)
        const { error } = member
        const event = { type: 'database-removed', database: name, path, isChanged, isGone } as const
        this.#parts.onEvent({ ...event, isComplete: isComplete || wasFenced, error })
        this.#reconcileSoon()
      })
  }

  /** Once for all members that end in the same turn of the event loop, which may be a thousand. */
  #reconcileSoon(): void {
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined
      this.reconcile()
    })
  }

  #checkFenced(): void {
    const members = [...this.#members.values()]
    const isOpen = ({ database: { name } }: WantedDatabase) =>
      !this.#members.has(name) && !this.#isUnrelatedFile(name)
    if (members.length === 0 || this.#wanted.some(isOpen)) return
    if (members.every(({ phase }) => phase === 'fenced')) this.#fenced.reject(members[0]?.fenced)
  }
}
