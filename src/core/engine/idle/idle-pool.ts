/**
 * Bounds how many databases of a process are held open: each costs about 350 kB and 8 file
 * descriptors. Beyond the bound one that has nothing to do lets go of its connections.
 */
export class Residency {
  readonly #maxAwake: number
  /** A database must have been quiet for this long before it is let go, in milliseconds. */
  readonly restAfterMs: number
  #awake = 0

  constructor(maxAwake = 50, restAfterMs = 30_000) {
    this.#maxAwake = maxAwake
    this.restAfterMs = restAfterMs
  }

  /** More are open than should be: who can rest should. */
  get isCrowded(): boolean {
    return this.#awake > this.#maxAwake
  }

  woke(): void {
    this.#awake += 1
  }

  rested(): void {
    this.#awake -= 1
  }
}
