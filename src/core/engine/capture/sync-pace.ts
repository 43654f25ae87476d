import { TokenBucket } from '../../async/token-bucket.ts'
import { WalWatcher } from '../../db/index.ts'

/** How often a busy database is looked at between two syncs, in milliseconds: its WAL may fill quickly. */
export const BUSY_TICK_MS = 25
/** After a file event the commit may not be published yet: looked for again after 1, 2, 4 … ms, up to this. */
const LAST_PROBE_MS = 256
/** A database that has become quiet is looked at again after 8, 16, 32 … ms: a checkpoint of the application may be waiting for the read mark. */
const FIRST_QUIET_PROBE_MS = 8

export interface SyncPaceOptions {
  readonly walPath: string
  /** In which one credit comes back, in milliseconds. */
  readonly syncMs: number
  /** The most credits. */
  readonly syncBurst: number
  readonly pollMs: number
  readonly wake: () => void
}

/**
 * When to look at one database's WAL: at once on a file event while it has credits, once per sync
 * interval when it has spent them, and every poll interval when no event comes. One credit comes
 * back each sync interval, so that sparse commits never wait and steady writes cost one object an
 * interval. A database without credits is not watched.
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

  /** Something happened to the files: a commit may follow. */
  expect(): void {
    this.#noticedAt ??= Date.now()
    this.#probeMs = 1
  }

  /** When something was captured last, in milliseconds; 0 if nothing was. */
  get capturedAt(): number {
    return this.#capturedAt
  }

  /** How long until the next sync has a credit, in milliseconds. */
  untilSync(now: number): number {
    return this.#credits.untilCredit(now)
  }

  /** When what is being captured was first noticed, in milliseconds. */
  noticedAt(now: number): number {
    return this.#noticedAt ?? now
  }

  /** A change was captured, for which a credit is spent. */
  captured(now: number): void {
    this.#noticedAt = undefined
    this.#probeMs = FIRST_QUIET_PROBE_MS
    this.#watcher.disarm()
    this.#credits.spend(now)
    this.#capturedAt = now
  }

  /**
   * Nothing was there to capture. Returns how long to wait, in milliseconds; `armed` if file events
   * have just been asked for, so that one more look is due: a commit may have come before; `isCalm`
   * if nothing is expected either.
   */
  quiet(): { readonly waitMs: number; readonly armed: boolean; readonly isCalm: boolean } {
    const probing = this.#probeMs <= LAST_PROBE_MS
    const waitMs = probing ? this.#probeMs : untilNext(this.#pollMs)
    if (probing) this.#probeMs *= 2
    // A large transaction spills frames for a long time before it commits: not each is worth a look.
    if (probing && this.#noticedAt !== undefined) return { waitMs, armed: false, isCalm: false }
    this.#noticedAt = undefined
    const armed = !this.#watcher.isArmed && this.#watcher.arm()
    return { waitMs, armed, isCalm: !probing }
  }

  /** Ends the file events. */
  stop(): void {
    this.#watcher.disarm()
  }
}

/** Until a moment that all databases with this interval share: one wake-up of the process for all of them. */
function untilNext(intervalMs: number): number {
  return intervalMs - (Date.now() % intervalMs)
}
