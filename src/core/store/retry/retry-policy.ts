import { setTimeout as delay } from 'node:timers/promises'
import { copyError, isStoreError, StoreError } from '../store-error.ts'

export interface RetryOptions {
  /** Maximum number of attempts, including the first. Default 8. */
  readonly attempts?: number | undefined
  /** Milliseconds since the first attempt after which no new one starts. Default 60,000. */
  readonly totalMs?: number | undefined
  /**
   * Milliseconds without progress after which an attempt counts as failed (`Timeout`). Default
   * 30,000.
   */
  readonly attemptTimeoutMs?: number | undefined
  /**
   * Upper bound of the first pause in milliseconds; doubles with each further pause. Default 100.
   */
  readonly baseDelayMs?: number | undefined
  /** Upper bound of any pause in milliseconds, except for a longer Retry-After. Default 10,000. */
  readonly maxDelayMs?: number | undefined
  /** Default: `setTimeout` of `node:timers/promises`. Must reject when the signal aborts. */
  readonly sleep?: ((ms: number, signal: AbortSignal) => Promise<unknown>) | undefined
  /** Uniform in [0, 1). Default `Math.random`. */
  readonly random?: (() => number) | undefined
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

/** Validated `RetryOptions`. */
export class RetryPolicy {
  readonly attempts: number
  readonly totalMs: number
  readonly attemptTimeoutMs: number
  readonly baseDelayMs: number
  readonly maxDelayMs: number
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>
  readonly random: () => number
  readonly now: () => number

  /** @throws StoreError `InvalidArgument` */
  constructor(options: RetryOptions = {}) {
    this.attempts = positive('attempts', options.attempts ?? 8)
    this.totalMs = positive('totalMs', options.totalMs ?? 60_000)
    this.attemptTimeoutMs = positive('attemptTimeoutMs', options.attemptTimeoutMs ?? 30_000)
    this.baseDelayMs = positive('baseDelayMs', options.baseDelayMs ?? 100)
    this.maxDelayMs = positive('maxDelayMs', options.maxDelayMs ?? 10_000)
    this.sleep = options.sleep ?? ((ms, signal) => delay(ms, undefined, { signal }))
    this.random = options.random ?? Math.random
    this.now = options.now ?? (() => performance.now())
  }
}

/**
 * What one call may still spend on retries. There is no budget for the store as a whole: after a
 * long outage, the next call must not fail fast.
 */
export class RetryBudget {
  readonly #policy: RetryPolicy
  #failures = 0
  #start: number
  #unknown = false

  constructor(policy: RetryPolicy) {
    this.#policy = policy
    this.#start = policy.now()
  }

  /** May an earlier attempt have taken effect? */
  get outcomeUnknown(): boolean {
    return this.#unknown
  }

  /** For long calls: bytes or entries have arrived, so the next failure counts as the first. */
  progress(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#start = this.#policy.now()
  }

  /**
   * Waits before the next attempt: with full jitter, so that many clients do not return at once,
   * and never less than the store asked for.
   *
   * @throws if it is final: the error itself, or one that also says how often it was tried
   * @throws the signal's reason during the pause
   */
  async pause(error: unknown, signal: AbortSignal): Promise<void> {
    if (!isStoreError(error)) throw error
    if (error.outcome === 'unknown') this.#unknown = true
    if (!error.retryable) throw this.final(error)
    this.#failures++
    const policy = this.#policy
    const spent = policy.now() - this.#start
    const ceiling = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (this.#failures - 1))
    const ms = Math.max(policy.random() * ceiling, error.retryAfterMs ?? 0)
    if (this.#failures >= policy.attempts || spent + ms >= policy.totalMs) {
      throw this.#exhausted(error, spent)
    }
    await policy.sleep(ms, signal)
    signal.throwIfAborted()
  }

  /** The error to throw, including what an earlier attempt may have done. */
  final(error: StoreError): StoreError {
    if (!this.#unknown || error.outcome === 'unknown') return error
    return copyError(error, { outcome: 'unknown' })
  }

  #exhausted(error: StoreError, spent: number): StoreError {
    if (this.#failures === 1) return this.final(error)
    const tried = `gave up after ${this.#failures} attempts in ${(spent / 1000).toFixed(1)} s`
    return copyError(error, {
      message: `${error.message} (${tried})`,
      outcome: this.#unknown ? 'unknown' : error.outcome,
    })
  }
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value
  const message = `Expected \`${name}\` to be a positive number, got ${value}.`
  throw new StoreError('InvalidArgument', message, { op: 'open' })
}
