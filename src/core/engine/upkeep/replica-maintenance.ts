import { RetryPause } from '../../async/retry-pause.ts'
import { NEVER, type Schedule } from '../../async/schedule.ts'
import { CompactionError } from '../../compaction/diagnose-failure.ts'
import { type CompactionStep, planCompaction } from '../../compaction/plan-compaction.ts'
import { runCompaction } from '../../compaction/run-compaction.ts'
import type { TXID } from '../../ltx/index.ts'
import type { LtxFileInfo, ReplicaClient } from '../../replica/replica-client.ts'
import { MAX_LEVEL } from '../../replica/replica-layout.ts'
import { planRetention, type RetentionPlan } from '../../retention/plan-retention.ts'
import { pruneReplica } from '../../retention/prune-replica.ts'
import type { RetentionPolicy } from '../../retention/retention-policy.ts'
import type { MaintenanceEvent } from '../events.ts'
import type { ReplicaCatalogue } from './replica-catalogue.ts'

export interface MaintenanceOptions {
  /** Intervals of the levels 1, 2, 3 …, in milliseconds, ascending; none: no compaction. At most 8. */
  readonly levels: readonly number[]
  /** `none` deletes nothing. */
  readonly retention: RetentionPolicy | 'none'
  /** Identifies the process in the files that it writes. */
  readonly nodeId: bigint
  /** Called before each batch of deletions; throws if this process may no longer delete. */
  readonly assertCurrent?: ((signal?: AbortSignal) => Promise<void>) | undefined
  /** See `RetentionOptions`. */
  readonly protectedSlots?:
    | ((signal?: AbortSignal) => readonly TXID[] | Promise<readonly TXID[]>)
    | undefined
  /** Called after the replica was listed again and the catalogue has the result. */
  readonly onListed?: (() => void) | undefined
}

/**
 * Minimum time between two runs of retention, in milliseconds; two intervals of level 1 if that is
 * less.
 */
const RETENTION_PAUSE_MS = 60_000
const RETRY = { firstMs: 1000, maxMs: 10 * 60_000, patient: true, jitter: false }

/**
 * Compacts and prunes one replica for its writer. It works from the catalogue, so that finding out
 * whether there is work costs no request, and lists the replica only before it deletes. An idle
 * replica has no next run at all. Errors are reported and retried with exponential backoff.
 */
export class ReplicaMaintenance implements Schedule {
  readonly #client: ReplicaClient
  readonly #catalogue: ReplicaCatalogue
  readonly #options: MaintenanceOptions
  readonly #onEvent: (event: MaintenanceEvent) => void
  readonly #pauseMs: number
  /** Keys of objects that compaction avoids, and of damaged ones. Kept in memory only, since they may be repaired. */
  readonly #avoided = new Set<string>()
  readonly #damaged = new Set<string>()
  #next = NEVER
  /** Version of the catalogue on which `#next` is based. */
  #seen = -1
  #retentionNotBefore = Number.NEGATIVE_INFINITY
  #protectedSlots: readonly TXID[] = []
  /**
   * Keys of files that are kept only for their slots. They are not merged, because retention would
   * delete the result.
   */
  #leftovers: ReadonlySet<string> = new Set()
  #blocked: RetentionPlan['blocked']
  readonly #retry = new RetryPause(RETRY)
  readonly #deleteRetry: RetryPause
  #isFailing = false
  #running: Promise<void> | undefined

  /** @throws RangeError if there are too many levels, or if they do not ascend */
  constructor(
    client: ReplicaClient,
    catalogue: ReplicaCatalogue,
    options: MaintenanceOptions,
    onEvent: (event: MaintenanceEvent) => void,
  ) {
    assertLevels(options.levels)
    this.#client = client
    this.#catalogue = catalogue
    this.#options = options
    this.#onEvent = onEvent
    const [first = RETENTION_PAUSE_MS] = options.levels
    this.#pauseMs = Math.min(RETENTION_PAUSE_MS, 2 * first)
    this.#deleteRetry = new RetryPause({ ...RETRY, firstMs: this.#pauseMs })
  }

  /** When `run` should be called next. Cheap. */
  dueAt(now: number): number {
    const { levels, retention } = this.#options
    if (levels.length === 0 && retention === 'none') return NEVER
    if (this.#seen !== this.#catalogue.version) {
      this.#seen = this.#catalogue.version
      // A change makes nothing due before the end of level 1's interval; `run` then finds out what
      // is.
      const intervalMs = levels[0] ?? this.#pauseMs
      const boundary = (Math.floor(now / intervalMs) + 1) * intervalMs
      this.#next = Math.min(this.#next, boundary)
    }
    return Math.max(this.#next, now + this.#retry.left(now))
  }

  /**
   * Takes over what a verification of the whole replica has found: damaged objects are not merged,
   * states that need one do not count, and files that only they connect are not deleted. An object
   * that was damaged before and is not among them has been repaired.
   *
   * @param keys of objects that no restore can use
   */
  setDamage(keys: readonly string[]): void {
    if (keys.length === 0 && this.#damaged.size === 0) return
    for (const key of this.#damaged) this.#avoided.delete(key)
    this.#damaged.clear()
    for (const key of keys) {
      this.#avoided.add(key)
      this.#damaged.add(key)
    }
    this.#seen = -1
  }

  /** The store is reachable again, so anything that failed because of it is due immediately. */
  retryNow(): void {
    if (this.#retry.failingSince === undefined) return
    this.#retry.retryNow()
    this.#next = 0
  }

  /**
   * Does whatever is due: compaction from level 1 up, then retention, at most once a minute. A
   * concurrent call waits for the running one.
   *
   * @param now in milliseconds
   * @throws the signal's reason
   */
  async run(now: number, signal: AbortSignal): Promise<void> {
    this.#running ??= this.#run(now, signal).finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  async #run(now: number, signal: AbortSignal): Promise<void> {
    try {
      for (const level of this.#options.levels.keys()) {
        await this.#compact(level + 1, now, signal)
      }
      await this.#retain(now, signal)
      this.#retry.succeeded(now)
      this.#reportRecovery()
      this.#seen = this.#catalogue.version
      this.#next = this.#nextAfter(now)
    } catch (error) {
      signal.throwIfAborted()
      const retryInMs = this.#retry.failed(now)
      this.#seen = this.#catalogue.version
      this.#next = now + retryInMs
      this.#isFailing = true
      this.#onEvent({ type: 'maintenance-error', error, retryInMs })
    }
  }

  #reportRecovery(): void {
    if (!this.#isFailing || this.#deleteRetry.failingSince !== undefined) return
    this.#isFailing = false
    this.#onEvent({ type: 'maintenance-recovered' })
  }

  async #compact(level: number, now: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const due = this.#steps(this.#catalogue.files, level, now).filter(({ dueAt }) => dueAt <= now)
      const obstacle = await this.#runSteps(due, signal)
      if (obstacle === undefined) {
        // Nothing else reads the base again, so without a listing it could be missing for months
        // without anyone noticing.
        if (due.length > 0 && level === this.#options.levels.length) await this.#relist(signal)
        return
      }
      await this.#avoid(obstacle, signal)
    }
  }

  /** Returns the object that blocked a step, if any. */
  async #runSteps(
    steps: readonly CompactionStep[],
    signal: AbortSignal,
  ): Promise<CompactionError | undefined> {
    for (const step of steps) {
      signal.throwIfAborted()
      try {
        await this.#merge(step, signal)
      } catch (error) {
        if (error instanceof CompactionError) return error
        throw error
      }
    }
    return undefined
  }

  async #merge(step: CompactionStep, signal: AbortSignal): Promise<void> {
    const { nodeId } = this.#options
    const stored = await runCompaction(this.#client, step, { signal, nodeId })
    // The page size changes between these files; otherwise the same step would stay due.
    if (stored.length === 0) this.#avoided.add(step.files.at(-1)!.key)
    for (const file of stored) {
      this.#catalogue.add(file)
      const { level, minTxid, maxTxid, size: bytesAfter } = file
      const merged = step.files.filter(
        (input) => input.maxTxid >= minTxid && input.maxTxid <= maxTxid,
      )
      const bytesBefore = merged.reduce((sum, { size }) => sum + size, 0)
      const files = merged.length
      this.#onEvent({ type: 'compacted', level, files, minTxid, maxTxid, bytesBefore, bytesAfter })
    }
  }

  /**
   * Avoids an object from now on. If it is really gone, another process is working on this replica,
   * so the replica is listed again.
   */
  async #avoid(error: CompactionError, signal: AbortSignal): Promise<void> {
    if (error.code === 'MissingObject') {
      const file = this.#catalogue.files.find(({ key }) => key === error.key)
      if (file === undefined) throw error
      const { level, minTxid, maxTxid } = file
      if ((await this.#client.head(level, minTxid, maxTxid, { signal })) !== undefined) throw error
      await this.#relist(signal)
      // The listing is out of date; without a pause the same step would fail again immediately.
      if (this.#catalogue.files.some(({ key }) => key === error.key)) throw error
    } else {
      this.#avoided.add(error.key)
      if (error.code !== 'Unmergeable') this.#damaged.add(error.key)
    }
    this.#onEvent({ type: 'object-avoided', error })
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const before = this.#catalogue.files
    this.#catalogue.loadListing(await this.#client.list({ signal }), before)
    this.#options.onListed?.()
  }

  async #retain(now: number, signal: AbortSignal): Promise<void> {
    const { retention, assertCurrent, protectedSlots } = this.#options
    if (retention === 'none' || now < this.#retentionNotBefore) return
    const first = this.#planWithoutSlots(retention, now)
    let { remove } = first
    if (first.blocked !== undefined) {
      // Another process may have stored what is missing, or repaired the replica.
      await this.#relist(signal)
      remove = this.#planWithoutSlots(retention, now).remove
    }
    if (remove.length > 0) this.#protectedSlots = (await protectedSlots?.(signal)) ?? []
    let plan = this.#plan(this.#catalogue.files, retention, now)
    if (plan.remove.length > 0) {
      // Another process may have deleted files that this plan relies on.
      await this.#relist(signal)
      plan = this.#plan(this.#catalogue.files, retention, now)
    }
    this.#leftovers = this.#leftoversOf(plan, retention, now)
    this.#retentionNotBefore = now + this.#pauseMs
    if (plan.remove.length === 0) {
      this.#deleteRetry.succeeded(now)
      return
    }
    const onDeleted = (files: readonly LtxFileInfo[]): void => this.#catalogue.remove(files)
    const { deleted, failures } = await pruneReplica(this.#client, plan, {
      signal,
      assertCurrent,
      onDeleted,
    })
    const bytes = deleted.reduce((sum, { size }) => sum + size, 0)
    if (deleted.length > 0) this.#onEvent({ type: 'pruned', files: deleted.length, bytes })
    if (failures.length === 0) this.#deleteRetry.succeeded(now)
    else {
      const retryInMs = this.#deleteRetry.failed(now)
      this.#retentionNotBefore = now + retryInMs
      this.#isFailing = true
      this.#onEvent({ type: 'delete-failed', failures, retryInMs })
    }
  }

  #leftoversOf({ keep }: RetentionPlan, retention: RetentionPolicy, now: number): Set<string> {
    if (this.#protectedSlots.length === 0) return new Set()
    const { remove } = this.#planWithoutSlots(retention, now)
    const unwanted = new Set(remove.map(({ key }) => key))
    return new Set(keep.map(({ key }) => key).filter((key) => unwanted.has(key)))
  }

  /** What would be deleted if no slot were protected. */
  #planWithoutSlots(retention: RetentionPolicy, now: number): RetentionPlan {
    const { files } = this.#catalogue
    return planRetention(files, retention, now, { damaged: this.#damaged })
  }

  /** When there may be work again, if nothing changes. */
  #nextAfter(now: number): number {
    const { levels, retention } = this.#options
    const { files } = this.#catalogue
    const times = [...levels.keys()].flatMap((level) =>
      this.#steps(files, level + 1, now).map((step) => step.dueAt),
    )
    if (retention !== 'none') {
      const plan = this.#plan(files, retention, now)
      const at = plan.remove.length > 0 ? now : plan.nextAt
      if (at !== undefined) times.push(Math.max(at, this.#retentionNotBefore))
    }
    return Math.min(NEVER, ...times)
  }

  #steps(files: readonly LtxFileInfo[], level: number, now: number): CompactionStep[] {
    const intervalMs = this.#options.levels[level - 1] as number
    const usable = files.filter(({ key }) => !this.#avoided.has(key) && !this.#leftovers.has(key))
    return planCompaction(usable, level, { intervalMs, now })
  }

  #plan(files: readonly LtxFileInfo[], retention: RetentionPolicy, now: number): RetentionPlan {
    const plan = planRetention(files, retention, now, {
      protectedSlots: this.#protectedSlots,
      damaged: this.#damaged,
    })
    if (plan.blocked !== undefined && plan.blocked !== this.#blocked) {
      this.#onEvent({ type: 'retention-blocked', reason: plan.blocked })
    }
    this.#blocked = plan.blocked
    return plan
  }
}

/** @throws RangeError if there are too many levels, or if they do not ascend */
function assertLevels(levels: readonly number[]): void {
  const ascending = levels.every((interval, i) => interval > (levels[i - 1] ?? 0))
  if (levels.length <= MAX_LEVEL && ascending) return
  throw new RangeError(`Expected up to ${MAX_LEVEL} ascending intervals, got ${levels}.`)
}
