/** A sleep that can be cut short from elsewhere; a call that comes while nobody sleeps counts for the next sleep. */
export class Wakeup {
  #wake: (() => void) | undefined
  #called = false

  /**
   * Resolves after `ms`, or at the next `call`; never before the event loop has turned.
   *
   * @param sleepOn asked when the time is over, for a sleeper that would do nothing most times: how
   *   much longer to sleep, in milliseconds; 0 to wake up. If it throws, the sleeper wakes up
   */
  async sleep(ms: number, sleepOn: () => number = () => 0): Promise<void> {
    if (this.#called || ms <= 0) {
      await new Promise((resolve) => setImmediate(resolve))
    } else {
      await new Promise<void>((resolve) => {
        const again = () => {
          const more = orWake(sleepOn)
          if (more > 0) timer = setTimeout(again, more)
          else resolve()
        }
        let timer = setTimeout(again, ms)
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

function orWake(sleepOn: () => number): number {
  try {
    return sleepOn()
  } catch {
    // What was wrong shows again when the sleeper is awake, where it can be handled.
    return 0
  }
}
