/** Credits that come back one each interval, up to a burst. It starts full. All times in milliseconds. */
export class TokenBucket {
  readonly #intervalMs: number
  readonly #burst: number
  #credits: number
  #at: number | undefined

  /** @param burst the most credits that can be saved up, at least 1 */
  constructor(intervalMs: number, burst: number) {
    this.#intervalMs = intervalMs
    this.#burst = burst
    this.#credits = burst
  }

  /** How long until there is a credit; 0 if there is one now. */
  untilCredit(now: number): number {
    this.#refill(now)
    return this.#credits >= 1 ? 0 : Math.ceil((1 - this.#credits) * this.#intervalMs)
  }

  /** Spends a credit. Without one nothing is owed, but the time until the next begins anew. */
  spend(now: number): void {
    this.#refill(now)
    this.#credits = Math.max(0, this.#credits - 1)
  }

  /** A clock that was set back earns nothing, and costs nothing that was saved. */
  #refill(now: number): void {
    const elapsed = Math.max(0, now - (this.#at ?? now))
    this.#at = now
    this.#credits = Math.min(this.#burst, this.#credits + elapsed / this.#intervalMs)
  }
}
