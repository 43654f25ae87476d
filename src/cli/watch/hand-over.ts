import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { HandOverLock, type LockHolder, type LockPhase } from '../../core/db/index.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** A database that another process on this file system replicates into the same replica. */
export interface Standby {
  /** When this process began to wait. */
  readonly since: Date
  /** What the other process announces about itself. */
  readonly holder: LockHolder | undefined
}

interface Entry {
  readonly lock: HandOverLock
  waitingSince: number | undefined
  /** Replicated although another process holds the lock (`--take-over-after`). */
  isForced: boolean
  /** Locks do not work on this file system. */
  isUnavailable: boolean
}

/**
 * How many times in a row a lock must be found taken: other processes that try it hold it for a
 * moment.
 */
const LOOKS = 3

/** Times in milliseconds: until a successor replicates, and between two checks. */
const PASS_ON_MS = 5000
const PASS_ON_TICK_MS = 10

/**
 * Which databases this process replicates, and which ones are on standby until another process
 * ends.
 */
export class HandOver {
  readonly #onUnavailable: (database: WatchedDatabase, error: Error) => void
  readonly #entries = new Map<string, Entry>()

  /** @param onUnavailable called once for each database that is replicated without a lock */
  constructor(onUnavailable: (database: WatchedDatabase, error: Error) => void) {
    this.#onUnavailable = onUnavailable
  }

  /**
   * May this process replicate the database now? If so, no other process may until `release`.
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
        // Retried with the next call; until then the epoch in the store protects the replica.
      }
    }
  }

  /** Is there a lock that the process from which it was taken over has not released yet? */
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

  /** Since when a database has been waiting, and for which process; `undefined` if it is not. */
  standby(name: string): Standby | undefined {
    const entry = this.#entries.get(name)
    if (entry?.waitingSince === undefined) return undefined
    return { since: new Date(entry.waitingSince), holder: entry.lock.holder() }
  }

  /**
   * Ends the wait of a database. Returns how long it waited, in milliseconds; `undefined` if it did
   * not.
   */
  endStandby(name: string, now: number): number | undefined {
    const entry = this.#entries.get(name)
    const since = entry?.waitingSince
    if (entry === undefined || since === undefined) return undefined
    entry.waitingSince = undefined
    entry.lock.leavePlace()
    return Math.max(0, now - since)
  }

  /** Shows processes that wait for the database how far this one is. */
  announce(name: string, phase: LockPhase): void {
    this.#entries.get(name)?.lock.announce(phase)
  }

  /** This process replicates the database from now on. */
  started(name: string): void {
    const lock = this.#entries.get(name)?.lock
    lock?.keepFile()
    lock?.announce('ready')
  }

  /**
   * Lets another process replicate the database. This process must not write anything for it
   * afterwards.
   */
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
      if (performance.now() - startedAt > PASS_ON_MS) return true
      const successor = lock.holder()
      // With many databases a process that waits may come back to this one only after seconds.
      return successor === undefined ? !lock.isAwaited : successor.phase === 'ready'
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
    // If its folder does not exist, neither does the database.
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
