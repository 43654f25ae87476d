import type { FleetEvent } from './fleet-event.ts'
import type { HandOver } from './hand-over.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** How often to check whether the other process has ended, in milliseconds. */
const TICK_MS = 50
/** With many databases on standby the checks are this many milliseconds apart for each of them. */
const TICK_SHARE_MS = 0.5
/** For at least this long a fenced writer leaves the lock to the newer one, in milliseconds. */
const YIELD_MS = 2000

export interface StandbyQueueParts {
  /** Default: nothing is handed over, so nothing waits. */
  readonly handOver: HandOver | undefined
  readonly onEvent: (event: FleetEvent) => void
  /** Another process has ended, so that a waiting database can be started. */
  readonly onFree: (now: number) => void
}

/** The databases of a fleet that wait until another process stops replicating them. */
export class StandbyQueue {
  readonly #parts: StandbyQueueParts
  readonly #waiting = new Map<string, WatchedDatabase>()
  /**
   * When this process may try again to take a lock that it has yielded, in milliseconds, by name.
   */
  readonly #notBefore = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(parts: StandbyQueueParts) {
    this.#parts = parts
  }

  /** May this process replicate the database? If another one does, it is queued until that one ends. */
  mayReplicate(database: WatchedDatabase, now: number): boolean {
    const { handOver, onEvent } = this.#parts
    const { name, path } = database
    if (handOver === undefined) return true
    if (!this.#take(handOver, database, now)) {
      if (!this.#waiting.has(name)) {
        const { pid, host, since } = handOver.standby(name)?.holder ?? {}
        onEvent({ type: 'standby', database: name, path, pid, host, since })
      }
      this.#waiting.set(name, database)
      this.#checkLater(handOver)
      return false
    }
    const waitedMs = handOver.endStandby(name, now)
    const isForced = handOver.isForced(name)
    this.#notBefore.delete(name)
    if (this.#waiting.delete(name) || waitedMs !== undefined) {
      onEvent({ type: 'handed-over', database: name, path, waitedMs: waitedMs ?? 0, isForced })
    }
    if (isForced) this.#checkLater(handOver)
    return true
  }

  /**
   * Gives the lock of a database to the newer writer that has fenced this one.
   *
   * @returns false if this process does not have the lock
   */
  yieldLock(name: string, now: number): boolean {
    const { handOver } = this.#parts
    if (handOver?.isLocked(name) !== true) return false
    this.#notBefore.set(name, now + YIELD_MS)
    handOver.release(name)
    return true
  }

  /** The database no longer waits. */
  remove(name: string): void {
    this.#waiting.delete(name)
  }

  /** Ends the checks. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #take(handOver: HandOver, database: WatchedDatabase, now: number): boolean {
    return now >= (this.#notBefore.get(database.name) ?? 0) && handOver.take(database, now)
  }

  #checkLater(handOver: HandOver): void {
    if (this.#timer !== undefined || this.#isStopped) return
    const waitMs = Math.max(TICK_MS, this.#waiting.size * TICK_SHARE_MS)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const now = Date.now()
      handOver.takeForced()
      const isFree = [...this.#waiting.values()].some((database) =>
        this.#take(handOver, database, now),
      )
      if (isFree) this.#parts.onFree(now)
      if (this.#waiting.size > 0 || handOver.isForcing) this.#checkLater(handOver)
    }, waitMs)
  }
}
