const MAX_EVENTS = 10_000

/** Values for one reader, who may be slow: the oldest are dropped. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #values: T[] = []
  readonly #onReturn: (queue: EventQueue<T>) => void
  #isOver = false
  #wake: () => void = () => {}

  /** @param onReturn the reader wants no more */
  constructor(onReturn: (queue: EventQueue<T>) => void) {
    this.#onReturn = onReturn
  }

  push(value: T): void {
    this.#values.push(value)
    if (this.#values.length > MAX_EVENTS) this.#values.shift()
    this.#wake()
  }

  end(): void {
    this.#isOver = true
    this.#wake()
  }

  async next(): Promise<IteratorResult<T>> {
    while (this.#values.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const value = this.#values.shift()
    return value === undefined ? { done: true, value: undefined } : { done: false, value }
  }

  async return(): Promise<IteratorResult<T>> {
    this.#values.length = 0
    this.end()
    this.#onReturn(this)
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
