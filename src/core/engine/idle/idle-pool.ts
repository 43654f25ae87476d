/**
 * Bounds how many databases of a process are held open: each costs about 350 kB and 8 file
 * descriptors. Beyond the bound one that has nothing to do lets go of its connections.
 */
export class IdlePool {
  readonly #maxOpen: number
  /** A database must have been quiet for this long before it is let go, in milliseconds. */
  readonly idleAfterMs: number
  #open = 0

  constructor(maxOpen = 50, idleAfterMs = 30_000) {
    this.#maxOpen = maxOpen
    this.idleAfterMs = idleAfterMs
  }

  /** More are open than should be: who can rest should. */
  get isCrowded(): boolean {
    return this.#open > this.#maxOpen
  }

  opened(): void {
    this.#open += 1
  }

  closed(): void {
    this.#open -= 1
  }
}
