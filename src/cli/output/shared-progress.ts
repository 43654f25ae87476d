import type { Progress } from './progress.ts'

/** One bar for several things that are done at once. */
export class SharedProgress {
  readonly #progress: Progress
  readonly #parts: { done: number; total: number }[] = []

  constructor(progress: Progress) {
    this.#progress = progress
  }

  /** Makes room for one of them; the result is told how far it is. */
  part(): (done: number, total: number) => void {
    const part = { done: 0, total: 0 }
    this.#parts.push(part)
    return (done, total) => {
      Object.assign(part, { done, total })
      const sum = (key: 'done' | 'total') => this.#parts.reduce((all, one) => all + one[key], 0)
      this.#progress.update(sum('done'), sum('total'))
    }
  }

  /** Takes the bar off the screen. */
  stop(): void {
    this.#progress.stop()
  }
}
