const FIRST_MS = 250
const MAX_MS = 30_000

/** Growing pauses between tries, jittered so that many databases do not try in step. In milliseconds. */
export class Backoff {
  #tries = 0

  next(): number {
    const ceiling = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(this.#tries, 20))
    this.#tries += 1
    return Math.round(ceiling / 2 + (Math.random() * ceiling) / 2)
  }

  reset(): void {
    this.#tries = 0
  }
}
