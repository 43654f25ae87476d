/**
 * Limits how many databases a process keeps open: each costs about 350 kB and 8 file descriptors.
 * Beyond the limit, idle databases are closed until they change.
 */
export class IdlePool {
  readonly #maxOpen: number
  /** A database must have been quiet for this long before it is closed, in milliseconds. */
  readonly idleAfterMs: number
  #open = 0

  constructor(maxOpen = 50, idleAfterMs = 30_000) {
    this.#maxOpen = maxOpen
    this.idleAfterMs = idleAfterMs
  }

  /** Are more databases open than the limit allows? Then idle ones should be closed. */
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
