const FIRST_MS = 250
/** The most at first: an outage that is over shows within two seconds. */
const QUICK_MAX_MS = 1500
/** So long the pauses stay quick, in milliseconds of waiting; then they grow. */
const QUICK_FOR_MS = 5 * 60_000
const MAX_MS = 30_000
/** What the pauses of many that fail at once leave for one try, in milliseconds: a store that is away is not asked more often. */
const SHARE_MS = 15

export interface BackoffOptions {
  /** Grows without the quick minutes: for work that is costly each time that it is tried. */
  readonly patient?: boolean | undefined
  /** How many try again beside this one. */
  readonly crowd?: (() => number) | undefined
}

/** Growing pauses between tries, jittered so that many databases do not try in step. In milliseconds. */
export class Backoff {
  readonly #patient: boolean
  readonly #crowd: () => number
  #tries = 0
  #waited = 0

  constructor({ patient = false, crowd = () => 1 }: BackoffOptions = {}) {
    this.#patient = patient
    this.#crowd = crowd
  }

  next(): number {
    const isQuick = !this.#patient && this.#waited < QUICK_FOR_MS
    const quickMax = Math.max(QUICK_MAX_MS, this.#crowd() * SHARE_MS)
    const max = isQuick ? Math.min(MAX_MS, quickMax) : MAX_MS
    const grown = FIRST_MS * 2 ** this.#tries
    // Not counted on at the limit: the long pauses begin where the quick ones end.
    if (grown < max) this.#tries += 1
    const ceiling = Math.min(max, grown)
    const pause = Math.round(ceiling / 2 + (Math.random() * ceiling) / 2)
    this.#waited += pause
    return pause
  }

  reset(): void {
    this.#tries = 0
    this.#waited = 0
  }
}
