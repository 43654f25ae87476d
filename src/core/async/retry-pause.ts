import { Backoff, type BackoffOptions } from './backoff.ts'
import { Deadline } from './deadline.ts'

/** The pause after a failed attempt, which grows until one succeeds. Keeps no timer: the caller asks and waits. */
export class RetryPause {
  readonly #backoff: Backoff
  readonly #pause = new Deadline()
  #failingSince: number | undefined

  constructor(options?: BackoffOptions) {
    this.#backoff = new Backoff(options)
  }

  /** When the first attempt since the last success failed, in milliseconds; `undefined` while none has. */
  get failingSince(): number | undefined {
    return this.#failingSince
  }

  /** How long not to try, in milliseconds; 0 if a try is allowed now. */
  left(now: number): number {
    return this.#pause.left(now)
  }

  /** Begins the next pause and returns its length, in milliseconds. */
  failed(now: number): number {
    this.#failingSince = Math.min(this.#failingSince ?? now, now)
    const pauseMs = this.#backoff.next()
    this.#pause.set(now, pauseMs)
    return pauseMs
  }

  /** Ends the pause, and the next one is short again. Returns for how long attempts had failed, in milliseconds. */
  succeeded(now: number): number | undefined {
    const outageMs =
      this.#failingSince === undefined ? undefined : Math.max(0, now - this.#failingSince)
    this.#failingSince = undefined
    this.#backoff.reset()
    this.#pause.clear()
    return outageMs
  }

  /** Ends the pause: what made the attempts fail may be over. */
  retryNow(): void {
    this.#pause.clear()
  }
}
