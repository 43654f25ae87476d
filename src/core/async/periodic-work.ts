import { NEVER, type Schedule } from './schedule.ts'

export interface PeriodicOptions {
  /** From the end of one run to the next; 0: never. In milliseconds. */
  readonly intervalMs: number
  /** Shared by all databases of the process: how many are at it at once. */
  readonly limiter: { run<T>(work: () => Promise<T>): Promise<T> }
  /** When the last run of an earlier process ended, in milliseconds since 1970. Default: there was none. */
  readonly lastRunAt?: number | undefined
}

/** A run that could not be carried out is tried again at the latest after this, in milliseconds. */
const MAX_RETRY_MS = 300_000
/** A start has other things to do first, in milliseconds. */
const START_PAUSE_MS = 30_000

/** One kind of work that is done again and again. Keeps no timer: the caller asks and waits. */
export class PeriodicWork implements Schedule {
  readonly #options: PeriodicOptions
  readonly #work: (signal: AbortSignal) => Promise<void>
  readonly #onFailure: (error: unknown, retryInMs: number) => void
  #dueAt: number | undefined
  #isRunning = false

  /** @param onFailure called when the work could not be done, with the pause before the next attempt */
  constructor(
    options: PeriodicOptions,
    work: (signal: AbortSignal) => Promise<void>,
    onFailure: (error: unknown, retryInMs: number) => void,
  ) {
    this.#options = options
    this.#work = work
    this.#onFailure = onFailure
  }

  /** The first run is due an interval after the last one of an earlier process, or after the first question. `NEVER` while one runs. */
  dueAt(now: number): number {
    if (this.#options.intervalMs === 0 || this.#isRunning) return NEVER
    this.#dueAt ??= this.#firstDueAt(now)
    return this.#dueAt
  }

  /**
   * Does the work when the limiter lets it. Does nothing while it is being done.
   *
   * @throws the signal's reason; nothing else: what fails is reported and tried again
   */
  async run(now: number, signal: AbortSignal): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    const started = performance.now()
    const { intervalMs, limiter } = this.#options
    let pauseMs = intervalMs
    try {
      await limiter.run(async () => {
        signal.throwIfAborted()
        await this.#work(signal)
      })
    } catch (error) {
      signal.throwIfAborted()
      pauseMs = Math.min(intervalMs, MAX_RETRY_MS)
      this.#onFailure(error, pauseMs)
    } finally {
      this.#isRunning = false
      this.#dueAt = now + (performance.now() - started) + pauseMs
    }
  }

  #firstDueAt(now: number): number {
    const { intervalMs, lastRunAt } = this.#options
    if (lastRunAt === undefined) return now + intervalMs
    const soon = now + Math.min(intervalMs, START_PAUSE_MS)
    // A clock that was ahead then must not put it off.
    return Math.max(soon, Math.min(lastRunAt, now) + intervalMs)
  }
}
