import type { Logger } from '../output/logger.ts'

/** Logs that messages do not arrive when that begins and when it is over, not at every attempt. */
export class DeliveryLog {
  readonly #logger: Logger
  readonly #what: string
  readonly #receiver: string
  #isFailing = false

  /**
   * @param what messages as the log calls them, in the plural
   * @param receiver without secrets
   */
  constructor(logger: Logger, what: string, receiver: string) {
    this.#logger = logger
    this.#what = what
    this.#receiver = receiver
  }

  /** @param reason why a message did not arrive; undefined: it did */
  note(reason: string | undefined): void {
    const isFailing = reason !== undefined
    const fields = { receiver: this.#receiver }
    if (isFailing && !this.#isFailing) {
      this.#logger.warn(fields, `${this.#what} do not arrive: ${reason}`)
    } else if (isFailing) {
      this.#logger.debug(fields, `${this.#what} still do not arrive: ${reason}`)
    } else if (this.#isFailing) {
      this.#logger.info(fields, `${this.#what} arrive again`)
    }
    this.#isFailing = isFailing
  }
}
