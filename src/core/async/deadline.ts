/** A moment to wait for. Over at once if the clock is set back: nothing may stand still for as long as the clock was ahead. */
export class Deadline {
  #setAt = 0
  #at = 0

  /** @param now in milliseconds, as all times here */
  set(now: number, inMs: number): void {
    this.#setAt = now
    this.#at = now + inMs
  }

  /** Over now. */
  clear(): void {
    this.set(0, 0)
  }

  /** How long to wait, in milliseconds; 0 when it is over. */
  left(now: number): number {
    return now < this.#setAt ? 0 : Math.max(0, this.#at - now)
  }
}
