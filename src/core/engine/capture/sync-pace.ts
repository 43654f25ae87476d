import { TokenBucket } from '../../async/token-bucket.ts'
import { WalWatcher } from '../../db/index.ts'

/**
 * How often to check a busy database between two syncs, in milliseconds: its WAL may fill quickly.
 */
export const BUSY_TICK_MS = 25
/**
 * After a file event the commit may not be published yet: check again after 1, 2, 4 … ms, up to
 * this.
 */
const LAST_PROBE_MS = 256
/**
 * Check a database that has become quiet again after 8, 16, 32 … ms: a checkpoint of the
 * application may be waiting for the read mark.
 */
const FIRST_QUIET_PROBE_MS = 8

export interface SyncPaceOptions {
  readonly walPath: string
  /** One credit is regained in this time, in milliseconds. */
  readonly syncMs: number
  /** Maximum number of credits. */
  readonly syncBurst: number
  readonly pollMs: number
  readonly wake: () => void
}

/**
 * When to check the WAL of one database: immediately on a file event while it has credits, once per
 * sync interval when it has spent them, and every poll interval when no event arrives. One credit
 * is regained per sync interval, so that sparse commits never wait and steady writes cost one
 * object per interval. A database without credits is not watched for file events.
 */
export class SyncPace {
  readonly #pollMs: number
  readonly #watcher: WalWatcher
  readonly #credits: TokenBucket
  #capturedAt = 0
  #noticedAt: number | undefined
  #probeMs = LAST_PROBE_MS * 2

  constructor({ walPath, syncMs, syncBurst, pollMs, wake }: SyncPaceOptions) {
    this.#credits = new TokenBucket(syncMs, syncBurst)
    this.#pollMs = pollMs
    this.#watcher = new WalWatcher(walPath, () => {
      this.expect()
      wake()
    })
  }

  /** Something happened to the files, so a commit may follow. */
  expect(): void {
    this.#noticedAt ??= Date.now()
    this.#probeMs = 1
  }

  /** Time of the last capture, in milliseconds; 0 if there was none. */
  get capturedAt(): number {
    return this.#capturedAt
  }

  /** Time until there is a credit for the next sync, in milliseconds. */
  untilSync(now: number): number {
    return this.#credits.untilCredit(now)
  }

  /** When what is being captured was first noticed, in milliseconds. */
  noticedAt(now: number): number {
    return this.#noticedAt ?? now
  }

  /** Spends a credit on a captured change. */
  captured(now: number): void {
    this.#noticedAt = undefined
    this.#probeMs = FIRST_QUIET_PROBE_MS
    this.#watcher.disarm()
    this.#credits.spend(now)
    this.#capturedAt = now
  }

  /**
   * There was nothing to capture. Returns how long to wait, in milliseconds; `armed` if file events
   * were just enabled, so that one more check is due for a commit that came before that; `isCalm`
   * if nothing is expected either.
   */
  quiet(): { readonly waitMs: number; readonly armed: boolean; readonly isCalm: boolean } {
    const probing = this.#probeMs <= LAST_PROBE_MS
    const waitMs = probing ? this.#probeMs : untilNext(this.#pollMs)
    if (probing) this.#probeMs *= 2
    // A large transaction spills frames long before it commits: not every event is worth a check.
    if (probing && this.#noticedAt !== undefined) return { waitMs, armed: false, isCalm: false }
    this.#noticedAt = undefined
    const armed = !this.#watcher.isArmed && this.#watcher.arm()
    return { waitMs, armed, isCalm: !probing }
  }

  /**
   * Like `quiet`, for a check in quick succession that found nothing.
   *
   * @returns how long to wait, in milliseconds; 0 if `quiet` has more to say
   */
  quietAgain(): number {
    const isExpecting = this.#noticedAt !== undefined || !this.#watcher.isArmed
    if (isExpecting || this.#probeMs > LAST_PROBE_MS) return 0
    const waitMs = this.#probeMs
    this.#probeMs *= 2
    return waitMs
  }

  /** Ends the file events. */
  stop(): void {
    this.#watcher.disarm()
  }
}

/**
 * Time until a moment that all databases with this interval share, so that the process wakes up
 * once for all of them.
 */
function untilNext(intervalMs: number): number {
  return intervalMs - (Date.now() % intervalMs)
}
