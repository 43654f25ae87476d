const FIRST_MS = 250
/** The most at first: an outage that is over shows within two seconds. */
const QUICK_MAX_MS = 1500
/** So long the pauses stay quick, in milliseconds of waiting; then they grow. */
const QUICK_FOR_MS = 5 * 60_000
const MAX_MS = 30_000
/** What the pauses of many that fail at once leave for one try, in milliseconds: a store that is away is not asked more often. */
const SHARE_MS = 15

export interface BackoffOptions {
  /** First pause, in milliseconds. Default 250. */
  readonly firstMs?: number | undefined
  /** Longest pause, in milliseconds. Default 30,000. */
  readonly maxMs?: number | undefined
  /** Grows from the start, without the quick minutes: for work that costs something at each try. Default false. */
  readonly patient?: boolean | undefined
  /** Shortens each pause by up to a half, at random. Default true. */
  readonly jitter?: boolean | undefined
  /** How many retry at the same time, this one included. Default: one. */
  readonly crowd?: (() => number) | undefined
}

/** Growing pauses between tries, jittered so that many databases do not try in step. In milliseconds. */
export class Backoff {
  readonly #firstMs: number
  readonly #maxMs: number
  readonly #patient: boolean
  readonly #jitter: boolean
  readonly #crowd: () => number
  #tries = 0
  #waited = 0

  constructor(options: BackoffOptions = {}) {
    const { firstMs = FIRST_MS, maxMs = MAX_MS, crowd = () => 1 } = options
    const { patient = false, jitter = true } = options
    this.#firstMs = firstMs
    this.#maxMs = maxMs
    this.#patient = patient
    this.#jitter = jitter
    this.#crowd = crowd
  }

  next(): number {
    const isQuick = !this.#patient && this.#waited < QUICK_FOR_MS
    const quickMax = Math.max(QUICK_MAX_MS, this.#crowd() * SHARE_MS)
    const max = isQuick ? Math.min(this.#maxMs, quickMax) : this.#maxMs
    const grown = this.#firstMs * 2 ** this.#tries
    // Not counted on at the limit: the long pauses begin where the quick ones end.
    if (grown < max) this.#tries += 1
    const ceiling = Math.min(max, grown)
    const share = this.#jitter ? 0.5 + Math.random() / 2 : 1
    const pause = Math.round(ceiling * share)
    this.#waited += pause
    return pause
  }

  reset(): void {
    this.#tries = 0
    this.#waited = 0
  }
}
