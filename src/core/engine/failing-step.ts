import { Backoff } from '../async/backoff.ts'
import { Deadline } from '../async/deadline.ts'

/**
 * A step that may keep failing for hours, as a write to a full disk does. It is tried again after
 * growing pauses that no event cuts short, and told once, until it has succeeded.
 */
export class FailingStep {
  readonly #backoff = new Backoff()
  readonly #pause = new Deadline()
  readonly #tell: (error: unknown, retryInMs: number) => void
  #isFailing = false

  constructor(tell: (error: unknown, retryInMs: number) => void) {
    this.#tell = tell
  }

  /** How long to leave it alone, in milliseconds. */
  left(now: number): number {
    return this.#pause.left(now)
  }

  failed(now: number, error: unknown): void {
    const retryInMs = this.#backoff.next()
    this.#pause.set(now, retryInMs)
    if (this.#isFailing) return
    this.#isFailing = true
    this.#tell(error, retryInMs)
  }

  succeeded(): void {
    this.#backoff.reset()
    this.#pause.clear()
    this.#isFailing = false
  }
}
