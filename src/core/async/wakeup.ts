/** A sleep that can be cut short from elsewhere; a call that comes while nobody sleeps counts for the next sleep. */
export class Wakeup {
  #wake: (() => void) | undefined
  #called = false

  /** Resolves after `ms`, or at the next `call`; never before the event loop has turned. */
  async sleep(ms: number): Promise<void> {
    if (this.#called || ms <= 0) {
      await new Promise((resolve) => setImmediate(resolve))
    } else {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
    this.#called = false
  }

  call(): void {
    this.#called = true
    this.#wake?.()
  }
}
