import { type PeriodicOptions, PeriodicWork } from '../async/periodic-work.ts'
import type { Schedule } from '../async/schedule.ts'
import type { TXID } from '../ltx/index.ts'
import type { ReplicaClient } from '../replica/replica-client.ts'
import { type DrillOptions, drillFailures, drillReplica } from './drill-replica.ts'

/** Which drills one database gets. */
export interface DrillSettings {
  /** From the end of one drill to the next; 0: none. In milliseconds. */
  readonly intervalMs: number
  /** SQL that must be true in the restored copy. */
  readonly assertions: readonly string[]
  /** How old the newest state may be, in milliseconds; `undefined`: any age. */
  readonly maxAgeMs: number | undefined
}

export const NO_DRILLS: DrillSettings = { intervalMs: 0, assertions: [], maxAgeMs: undefined }

/** What came of a drill in the background. */
export type DrillEvent =
  | ({ readonly type: 'drill-passed' } & DrilledState)
  | ({
      readonly type: 'drill-failed'
      /** What it failed by, one sentence each; at least one. */
      readonly failures: readonly string[]
    } & Partial<DrilledState>)
  | {
      /** Nothing is known about the replica: the store failed, or this machine has no room. */
      readonly type: 'drill-not-run'
      readonly error: unknown
      readonly retryInMs: number
    }

/** The state that was restored. */
export interface DrilledState {
  readonly txid: TXID
  /** Size of the database. */
  readonly bytes: number
  /** What the restore took, with the integrity check. */
  readonly ms: number
  /** How old the state was: what a loss would have cost. */
  readonly ageMs: number | undefined
}

export interface DrillScheduleOptions
  extends DrillSettings,
    PeriodicOptions,
    Pick<DrillOptions, 'current'> {}

/** Objects read at one time: the store and the processor are the replication's first. */
const PARALLELISM = 2

/** When one database gets a restore drill in the background, and the doing of it. */
export class DrillSchedule implements Schedule {
  readonly #client: ReplicaClient
  readonly #options: DrillScheduleOptions
  readonly #onEvent: (event: DrillEvent) => void
  readonly #periodic: PeriodicWork
  #isAtWork = false

  constructor(
    client: ReplicaClient,
    options: DrillScheduleOptions,
    onEvent: (event: DrillEvent) => void,
  ) {
    this.#client = client
    this.#options = options
    this.#onEvent = onEvent
    this.#periodic = new PeriodicWork(
      options,
      (signal) => this.#drill(signal),
      (error, retryInMs) => onEvent({ type: 'drill-not-run', error, retryInMs }),
    )
  }

  /** Has a drill begun, so that there is a scratch folder? */
  get isAtWork(): boolean {
    return this.#isAtWork
  }

  /** See `PeriodicWork`. */
  dueAt(now: number): number {
    return this.#periodic.dueAt(now)
  }

  /** @throws the signal's reason; nothing else: a failure is an event */
  async run(now: number, signal: AbortSignal): Promise<void> {
    await this.#periodic.run(now, signal)
  }

  async #drill(signal: AbortSignal): Promise<void> {
    const { assertions, maxAgeMs, current } = this.#options
    this.#isAtWork = true
    try {
      const options = { assertions, maxAgeMs, current, parallelism: PARALLELISM, signal }
      const drill = await drillReplica(this.#client, options, async () => ({}))
      const failures = drillFailures(drill)
      if (!drill.restored) {
        this.#onEvent({ type: 'drill-failed', failures })
        return
      }
      const { txid, bytes, durationMs, ageMs } = drill
      const state = { txid, bytes, ms: durationMs, ageMs }
      this.#onEvent(
        failures.length === 0
          ? { type: 'drill-passed', ...state }
          : { type: 'drill-failed', failures, ...state },
      )
    } finally {
      this.#isAtWork = false
    }
  }
}
