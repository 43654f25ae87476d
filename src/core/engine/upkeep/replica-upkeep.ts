import { NEVER, type Schedule } from '../../async/schedule.ts'
import { DrillSchedule, NO_DRILLS } from '../../drill/index.ts'
import type { TXID } from '../../ltx/index.ts'
import type { LtxFileInfo, ReplicaClient } from '../../replica/replica-client.ts'
import type { EpochClaim } from '../../replica/writer-claim/writer-claim.ts'
import { DEFAULT_LEVELS, DEFAULT_RETENTION } from '../../retention/retention-policy.ts'
import { unusableObjects } from '../../verify/faults.ts'
import { VerifySchedule } from '../../verify/verify-schedule.ts'
import type { EngineEvent } from '../events.ts'
import { FencedError } from '../events.ts'
import type { EngineContext, TrackerOptions } from '../options.ts'
import type { ReplicaCatalogue } from './replica-catalogue.ts'
import { ReplicaMaintenance } from './replica-maintenance.ts'

export interface UpkeepParts {
  readonly options: TrackerOptions
  readonly context: EngineContext
  readonly onEvent: (event: EngineEvent) => void
  readonly client: ReplicaClient
  readonly catalogue: ReplicaCatalogue
  /** Without one, files carry the process's NodeID, and nothing is checked before a deletion. */
  readonly claim: EpochClaim | undefined
  readonly stored: () => TXID | undefined
  /** The newest TXID in the store, if the database has no change that is not there. */
  readonly current: () => TXID | undefined
  /** Called with all files after upkeep has listed the replica. */
  readonly onListed: (files: readonly LtxFileInfo[]) => void
  readonly wake: () => void
}

/**
 * What a replica needs apart from new files: compaction, retention, verification and restore
 * drills. Runs concurrently with replication and never blocks it; only a few replicas are worked on
 * at a time.
 */
export class ReplicaUpkeep implements Schedule {
  readonly #catalogue: ReplicaCatalogue
  readonly #parts: UpkeepParts
  readonly #maintenance: ReplicaMaintenance
  readonly #verification: VerifySchedule
  /** Beside the rest: many databases may wait for their turn, and a restore takes its time. */
  readonly #drills: DrillSchedule
  readonly #abort = new AbortController()
  #listed = false
  #running: Promise<void> | undefined
  #drilling: Promise<void> | undefined
  /** The work of this replica that has begun after waiting for its turn. */
  #working: Promise<unknown> | undefined
  /** The reason why this writer must end, or an unexpected error, for the next call of `dueAt`. */
  #failure: unknown

  constructor(parts: UpkeepParts) {
    const { options, context, client, stored, onEvent, catalogue, claim } = parts
    this.#parts = parts
    this.#catalogue = catalogue
    const emit = (event: object) => onEvent({ database: options.name, ...event } as EngineEvent)
    this.#maintenance = new ReplicaMaintenance(
      client,
      this.#catalogue,
      {
        levels: options.levels ?? DEFAULT_LEVELS,
        retention: options.retention ?? DEFAULT_RETENTION,
        // The epoch is claimed later, so the NodeID is read at the time of a merge.
        get nodeId() {
          return claim?.nodeId ?? context.nodeId
        },
        assertCurrent: (signal) => this.#assertCurrent(signal),
        protectedSlots: async (signal) => (await claim?.protectedSlots(signal)) ?? [],
        onListed: () => parts.onListed(this.#catalogue.files),
      },
      emit,
    )
    const intervalMs = options.verifyIntervalMs ?? 0
    const limiter = {
      run: <T>(work: () => Promise<T>) => context.limits.verify.run(() => this.#begin(work)),
    }
    this.#verification = new VerifySchedule(client, { intervalMs, limiter, stored }, (event) => {
      // A listing does not show damage, and retention must only rely on files that can be read.
      if (event.type === 'verified' && event.defects === 0) this.#maintenance.setDamage([])
      if (event.type === 'damage-found') this.#maintenance.setDamage(unusableObjects(event.defects))
      emit(event)
    })
    const { drill = NO_DRILLS, lastDrillAt: lastRunAt } = options
    const drills = { ...drill, lastRunAt, limiter: context.limits.drill, current: parts.current }
    this.#drills = new DrillSchedule(client, drills, emit)
  }

  /** Call before a complete listing of the replica, and the result with what it shows: upkeep may store and delete files meanwhile. */
  beginListing(): (files: readonly LtxFileInfo[]) => void {
    const before = this.#catalogue.files
    return (files) => {
      this.#catalogue.loadListing(files, before)
      this.#listed = true
    }
  }

  /** When something is due; `NEVER` while something runs. @throws FencedError if one was met in the meantime */
  dueAt(now: number): number {
    const failure = this.#failure
    if (!(failure instanceof FencedError)) this.#failure = undefined
    if (failure !== undefined) throw failure
    if (!this.#listed) return NEVER
    return Math.min(this.#upkeepDueAt(now), this.#drills.dueAt(now))
  }

  /** The store is reachable again: what failed in the meantime need not wait. */
  retryNow(): void {
    this.#maintenance.retryNow()
  }

  /** Starts whatever is due, if nothing of its kind is running. */
  runDue(now: number): void {
    if (this.dueAt(now) > now) return
    if (this.#drills.dueAt(now) <= now) this.#drilling = this.#drill(now)
    if (this.#upkeepDueAt(now) > now) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#parts.wake()
    })
  }

  /** Aborts what is running; work that is still waiting for its turn will not begin. */
  async stop(): Promise<void> {
    this.#abort.abort(new Error('replication ends'))
    await this.#working?.catch(() => undefined)
    if (this.#drills.isAtWork) await this.#drilling
  }

  #upkeepDueAt(now: number): number {
    if (this.#running !== undefined) return NEVER
    return Math.min(this.#maintenance.dueAt(now), this.#verification.dueAt(now))
  }

  #now(): number {
    return this.#parts.context.clock().wall
  }

  async #begin<T>(work: () => Promise<T>): Promise<T> {
    this.#abort.signal.throwIfAborted()
    const working = work()
    this.#working = working
    return await working
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    const { maintenance } = this.#parts.context.limits
    try {
      await maintenance.run(() =>
        this.#begin(async () => {
          const startedAt = this.#now()
          if (this.#maintenance.dueAt(startedAt) > startedAt) return
          await this.#maintenance.run(startedAt, signal)
        }),
      )
      const now = this.#now()
      if (this.#verification.dueAt(now) <= now) await this.#verification.run(now, signal)
    } catch (error) {
      if (!signal.aborted) this.#failure ??= error
    }
  }

  async #drill(now: number): Promise<void> {
    const { signal } = this.#abort
    try {
      await this.#drills.run(now, signal)
    } catch (error) {
      if (!signal.aborted) this.#failure ??= error
    }
    this.#parts.wake()
  }

  async #assertCurrent(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#parts.claim?.assertCurrent(signal)
    } catch (error) {
      if (error instanceof FencedError) this.#failure = error
      throw error
    }
  }
}
