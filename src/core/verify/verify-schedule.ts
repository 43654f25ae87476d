import { type PeriodicOptions, PeriodicWork } from '../async/periodic-work.ts'
import type { Schedule } from '../async/schedule.ts'
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

export interface VerifyScheduleOptions extends Omit<PeriodicOptions, 'lastRunAt'> {
  /** Newest TXID that this process knows to be stored: a replica that ends before it has lost its end. */
  readonly stored?: (() => TXID | undefined) | undefined
}

/** Objects read at one time: the store and the processor are the replication's first. */
const PARALLELISM = 2

/** When one replica is verified in the background, and the doing of it, to full depth. */
export class VerifySchedule implements Schedule {
  readonly #client: ReplicaClient
  readonly #options: VerifyScheduleOptions
  readonly #onEvent: (event: VerifyEvent) => void
  readonly #periodic: PeriodicWork

  constructor(
    client: ReplicaClient,
    options: VerifyScheduleOptions,
    onEvent: (event: VerifyEvent) => void,
  ) {
    this.#client = client
    this.#options = options
    this.#onEvent = onEvent
    this.#periodic = new PeriodicWork(
      options,
      (signal) => this.#verify(signal),
      (error, retryInMs) => onEvent({ type: 'verify-failed', error, retryInMs }),
    )
  }

  /** See `PeriodicWork`. */
  dueAt(now: number): number {
    return this.#periodic.dueAt(now)
  }

  /** @throws the signal's reason; nothing else: a failure is an event, and is tried again soon */
  async run(now: number, signal: AbortSignal): Promise<void> {
    await this.#periodic.run(now, signal)
  }

  async #verify(signal: AbortSignal): Promise<void> {
    const atLeast = this.#options.stored?.()
    const report = await verifyReplica(this.#client, { parallelism: PARALLELISM, atLeast, signal })
    const { verdict, files, bytesRead: bytes, durationMs: ms, defects } = report
    this.#onEvent({ type: 'verified', verdict, files, bytes, defects: defects.length, ms })
    if (defects.length === 0) return
    const { lost, latest, goodUpTo } = report
    this.#onEvent({ type: 'damage-found', verdict, defects, lost, latest, goodUpTo })
  }
}
