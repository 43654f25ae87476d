import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { HandOverLock, type LockHolder, type LockPhase } from '../../core/db/index.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** A database that another process on this file system replicates into the same replica. */
export interface Standby {
  /** Since when this process has waited. */
  readonly since: Date
  /** What the other one says about itself. */
  readonly holder: LockHolder | undefined
}

interface Entry {
  readonly lock: HandOverLock
  waitingSince: number | undefined
  /** Replicated although another process has the lock: `--take-over-after`. */
  isForced: boolean
  /** Locks do not work here. */
  isUnavailable: boolean
}

/** Times that a lock must be found taken before that counts: others who try it take it for a moment. */
const LOOKS = 3

/** Times in milliseconds: until a successor has taken the lock, until it replicates, and between two looks. */
const NOBODY_MS = 1000
const PASS_ON_MS = 5000
const PASS_ON_TICK_MS = 10

/** Which databases this process replicates, and for which it stands by until another process ends. */
export class HandOver {
  readonly #onUnavailable: (database: WatchedDatabase, error: Error) => void
  readonly #entries = new Map<string, Entry>()

  /** @param onUnavailable told once of each database that is replicated without a lock */
  constructor(onUnavailable: (database: WatchedDatabase, error: Error) => void) {
    this.#onUnavailable = onUnavailable
  }

  /**
   * May this process replicate the database now? If so, no other that asks may until `release`.
   *
   * @param now in milliseconds
   */
  take(database: WatchedDatabase, now: number): boolean {
    const entry = this.#entryOf(database)
    if (entry.isForced || this.#tryTake(entry, database)) return true
    entry.lock.keepPlace()
    entry.waitingSince ??= now
    const { takeOverAfterMs } = database.settings
    entry.isForced = takeOverAfterMs !== undefined && now - entry.waitingSince >= takeOverAfterMs
    return entry.isForced
  }

  /** Takes a lock that is still held by the process from which the database was taken over. */
  takeForced(): void {
    for (const entry of this.#entries.values()) {
      if (!entry.isForced || entry.lock.isHeld) continue
      try {
        if (entry.lock.tryTake()) entry.lock.announce('ready')
      } catch {
        // Tried again at the next call; the epoch in the store protects the replica meanwhile.
      }
    }
  }

  /** Is a lock still to be taken from a process that does not give it back? */
  get isForcing(): boolean {
    return [...this.#entries.values()].some(({ isForced, lock }) => isForced && !lock.isHeld)
  }

  /** Was the database taken over without its lock? */
  isForced(name: string): boolean {
    return this.#entries.get(name)?.isForced === true
  }

  /** Does this process hold the lock of the database? */
  isLocked(name: string): boolean {
    return this.#entries.get(name)?.lock.isHeld === true
  }

  /** For how long and for whom a database has waited; `undefined` if it does not. */
  standby(name: string): Standby | undefined {
    const entry = this.#entries.get(name)
    if (entry?.waitingSince === undefined) return undefined
    return { since: new Date(entry.waitingSince), holder: entry.lock.holder() }
  }

  /** The database no longer waits. Returns for how many milliseconds it did; `undefined` if it did not. */
  endStandby(name: string, now: number): number | undefined {
    const entry = this.#entries.get(name)
    const since = entry?.waitingSince
    if (entry === undefined || since === undefined) return undefined
    entry.waitingSince = undefined
    entry.lock.leavePlace()
    return Math.max(0, now - since)
  }

  /** Tells processes that wait for the database how far this one is. */
  announce(name: string, phase: LockPhase): void {
    this.#entries.get(name)?.lock.announce(phase)
  }

  /** Lets another process replicate the database. Nothing of it may be written by this one afterwards. */
  release(name: string): void {
    const entry = this.#entries.get(name)
    if (entry?.waitingSince !== undefined) entry.lock.leavePlace()
    entry?.lock.release()
    this.#entries.delete(name)
  }

  /**
   * Releases all, and resolves when the processes that waited have begun to replicate. The caller
   * keeps its databases open until then: otherwise an application could restart a log in between,
   * and the successor would need a full copy.
   */
  async passOn(): Promise<void> {
    const held = [...this.#entries.values()].map(({ lock }) => lock).filter((lock) => lock.isHeld)
    const awaited = held.filter((lock) => lock.isAwaited)
    for (const name of [...this.#entries.keys()]) this.release(name)
    const startedAt = performance.now()
    const isOver = (lock: HandOverLock) => {
      const successor = lock.holder()
      const waitedMs = performance.now() - startedAt
      if (successor === undefined) return waitedMs > NOBODY_MS
      return successor.phase === 'ready' || waitedMs > PASS_ON_MS
    }
    while (!awaited.every(isOver)) await delay(PASS_ON_TICK_MS)
  }

  #entryOf({ name, path, replica }: WatchedDatabase): Entry {
    const lock = new HandOverLock(path, replica)
    const entry = this.#entries.get(name)
    if (entry?.lock.path === lock.path) return entry
    entry?.lock.release()
    const made = { lock, waitingSince: undefined, isForced: false, isUnavailable: false }
    this.#entries.set(name, made)
    return made
  }

  #tryTake(entry: Entry, database: WatchedDatabase): boolean {
    // Without its folder there is no database either.
    if (entry.isUnavailable || !existsSync(dirname(entry.lock.path))) return true
    try {
      const isNew = !entry.lock.isHeld
      const looks = entry.waitingSince === undefined ? LOOKS : 1
      for (let look = 0; look < looks; look++) {
        if (!entry.lock.tryTake()) continue
        if (isNew) entry.lock.announce('preparing')
        return true
      }
      return false
    } catch (error) {
      entry.isUnavailable = true
      this.#onUnavailable(database, error as Error)
      return true
    }
  }
}
