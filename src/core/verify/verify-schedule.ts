import { NEVER, type Schedule } from '../async/schedule.ts'
import type { TXID } from '../ltx/index.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { verifyReplica } from './verify-replica.ts'
import type { VerifyReport } from './verify-report.ts'

/** What came of a verification in the background. `damage-found` comes after `verified`, if there is any defect. */
export type VerifyEvent =
  | {
      readonly type: 'verified'
      readonly verdict: VerifyReport['verdict']
      readonly files: number
      /** Read from the store. */
      readonly bytes: number
      readonly defects: number
      readonly ms: number
    }
  | ({ readonly type: 'damage-found' } & Pick<
      VerifyReport,
      'verdict' | 'defects' | 'lost' | 'latest' | 'goodUpTo'
    >)
  | {
      /** Nothing is known about the replica: the store failed, or there is no replica at all. */
      readonly type: 'verify-failed'
      readonly error: unknown
      readonly retryInMs: number
    }

export interface VerifyScheduleOptions {
  /** From the end of one verification to the next; 0: never. In milliseconds. */
  readonly intervalMs: number
  /** Shared by all replicas of the process: how many are verified at once. */
  readonly limiter: { run<T>(work: () => Promise<T>): Promise<T> }
  /** Newest TXID that this process knows to be stored: a replica that ends before it has lost its end. */
  readonly stored?: (() => TXID | undefined) | undefined
}

/** Objects read at one time: the store and the processor are the replication's first. */
const PARALLELISM = 2
const MAX_RETRY_MS = 300_000

/** When one replica is verified in the background, and the doing of it. Keeps no timer: the caller asks and waits. */
export class VerifySchedule implements Schedule {
  readonly #client: ReplicaClient
  readonly #options: VerifyScheduleOptions
  readonly #onEvent: (event: VerifyEvent) => void
  #dueAt: number | undefined
  #running = false

  constructor(
    client: ReplicaClient,
    options: VerifyScheduleOptions,
    onEvent: (event: VerifyEvent) => void,
  ) {
    this.#client = client
    this.#options = options
    this.#onEvent = onEvent
  }

  /** The first is due an interval after the first question. `Infinity` for never, and while one runs. */
  dueAt(now: number): number {
    const { intervalMs } = this.#options
    if (intervalMs === 0 || this.#running) return NEVER
    this.#dueAt ??= now + intervalMs
    return this.#dueAt
  }

  /**
   * Verifies the replica to full depth, when the limiter lets it. Does nothing while one runs.
   *
   * @throws the signal's reason; nothing else: a failure is an event, and is tried again soon
   */
  async run(now: number, signal: AbortSignal): Promise<void> {
    if (this.#running) return
    this.#running = true
    const started = performance.now()
    const { intervalMs, limiter } = this.#options
    let pauseMs = intervalMs
    try {
      await limiter.run(() => this.#verify(signal))
    } catch (error) {
      signal.throwIfAborted()
      pauseMs = Math.min(intervalMs, MAX_RETRY_MS)
      this.#onEvent({ type: 'verify-failed', error, retryInMs: pauseMs })
    } finally {
      this.#running = false
      this.#dueAt = now + (performance.now() - started) + pauseMs
    }
  }

  async #verify(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const atLeast = this.#options.stored?.()
    const report = await verifyReplica(this.#client, { parallelism: PARALLELISM, atLeast, signal })
    const { verdict, files, bytesRead: bytes, durationMs, defects } = report
    const ms = Math.round(durationMs)
    this.#onEvent({ type: 'verified', verdict, files, bytes, defects: defects.length, ms })
    if (defects.length === 0) return
    const { lost, latest, goodUpTo } = report
    this.#onEvent({ type: 'damage-found', verdict, defects, lost, latest, goodUpTo })
  }
}
