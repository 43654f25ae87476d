import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Backoff } from '../../core/async/backoff.ts'
import { mapParallel } from '../../core/async/map-parallel.ts'
import { DatabaseError } from '../../core/db/index.ts'
import { isStoreError } from '../../core/store/index.ts'
import type { CommandContext } from '../command-context.ts'
import { messageOf } from '../output/event-log.ts'
import { createProgress } from '../output/progress.ts'
import { SharedProgress } from '../output/shared-progress.ts'
import type { Fleet } from './fleet.ts'
import type { FleetEvent } from './fleet-event.ts'
import type { HandOver } from './hand-over.ts'
import { type FileState, inspectFile } from './inspect-file.ts'
import { prepareDatabase } from './prepare-database.ts'
import type { WantedDatabase } from './resolve-databases.ts'
import type { StorePool } from './store-pool.ts'
import type { WatchPlan } from './watch-plan.ts'

export interface FirstDatabasesParts {
  readonly context: CommandContext
  readonly plan: WatchPlan
  readonly stores: StorePool
  readonly handOver: HandOver
  readonly fleet: Pick<Fleet, 'hold' | 'release'>
  readonly tell: (event: FleetEvent) => void
}

/** How many databases are restored at the same time. */
const PARALLEL = 4
/**
 * How often to check whether another process has released or restored a database, in milliseconds.
 */
const LOOK_MS = 50
/**
 * For this long, what is read about the holder of a lock may still be from the previous holder, in
 * milliseconds.
 */
const STALE_MS = 1000
/** The application creates these databases, so they are waited for. */
const NOT_YET: ReadonlySet<FileState> = new Set(['missing', 'empty', 'not-wal'])

/** Prepares the databases that are named by their paths before the application starts. */
export class FirstDatabases {
  readonly #parts: FirstDatabasesParts
  readonly #abort = new AbortController()

  constructor(parts: FirstDatabasesParts) {
    this.#parts = parts
  }

  /**
   * Restores missing databases that this process may replicate.
   *
   * @returns those that can be started now, including any whose start will fail; the fleet waits
   *   for the others
   * @throws DatabaseError, RestoreError, LegacyError, StoreError of the first database that must
   *   not start as it is; for databases of a configuration file, only if an application is to be
   *   started
   */
  async prepare(wanted: readonly WantedDatabase[]): Promise<WantedDatabase[]> {
    const progress = new SharedProgress(createProgress('restore', this.#parts.context.terminal))
    try {
      const ready = await mapParallel(wanted, PARALLEL, (one) => this.#prepareOne(one, progress))
      return wanted.filter((_, i) => ready[i])
    } finally {
      progress.stop()
    }
  }

  stop(): void {
    this.#abort.abort()
  }

  /** Returns whether it can be started now. */
  async #prepareOne(wanted: WantedDatabase, progress: SharedProgress): Promise<boolean> {
    const { plan } = this.#parts
    const { path } = wanted.database
    if (!(await this.#mayTake(wanted))) return false
    try {
      await this.#prepareFile(wanted, progress)
    } catch (error) {
      if (plan.isStrict || plan.hasCommand) throw error
      void this.#keepBack(wanted, error)
      return false
    }
    if (!plan.isStrict) return false
    const { state } = inspectFile(path, () => false)
    if (plan.mayWait) return !NOT_YET.has(state)
    if (state !== 'missing') return true
    throw new DatabaseError('MissingFile', path, `There is no database at ${path}.`, {
      hint: 'Check the path. Add --wait to wait for the database, or let walsync start the application that creates it (-- COMMAND).',
    })
  }

  /**
   * May this process replicate the database? If another process does, its file must exist before
   * this process's application opens it, because that other process may be about to restore it.
   */
  async #mayTake({ database }: WantedDatabase): Promise<boolean> {
    const { handOver, context } = this.#parts
    const startedAt = Date.now()
    let isTold = false
    while (!handOver.take(database, Date.now())) {
      if (!isAbsent(database.path)) return false
      const isReady = handOver.standby(database.name)?.holder?.phase === 'ready'
      if (isReady && Date.now() - startedAt > STALE_MS) return false
      if (!isTold) {
        const text =
          'there is no database yet, and another process is about to restore or create it'
        context.logger.info({ database: database.name }, text)
      }
      isTold = true
      await this.#sleep(LOOK_MS)
    }
    return true
  }

  async #prepareFile({ database }: WantedDatabase, progress: SharedProgress): Promise<void> {
    const { context, plan, stores, handOver, tell } = this.#parts
    const { name, path, bucket } = database
    const prepared = await prepareDatabase(context, stores.opened(bucket), database, {
      startFresh: plan.startFresh,
      ownsApplication: plan.hasCommand,
      onProgress: progress.part(),
    })
    if (prepared.kind === 'restored') {
      const { kind: type, ...rest } = prepared
      tell({ type, database: name, path, ...rest })
    }
    handOver.announce(name, 'ready')
  }

  /** Retries as long as that may help; ends in any case when a file appears at the path. */
  async #keepBack(wanted: WantedDatabase, first: unknown): Promise<void> {
    const { fleet, tell } = this.#parts
    const { name, path, settings } = wanted.database
    const backoff = new Backoff({ patient: true })
    let error = first
    let reported: string | undefined
    try {
      for (;;) {
        const { hint } = error as { hint?: unknown }
        const reason = typeof hint === 'string' ? `${messageOf(error)} ${hint}` : messageOf(error)
        fleet.hold(name, reason)
        if (reason !== reported) tell({ type: 'waiting', database: name, reason })
        reported = reason
        if (isStoreError(error)) await this.#sleep(backoff.next())
        else while (isAbsent(path)) await this.#sleep(settings.pollIntervalMs)
        try {
          await this.#prepareFile(wanted, new SharedProgress(createProgress('restore', undefined)))
          return fleet.release(name)
        } catch (another) {
          error = another
        }
      }
    } catch (interrupted) {
      if (!this.#isOver) throw interrupted
    }
  }

  get #isOver(): boolean {
    return this.#abort.signal.aborted || this.#parts.context.signal.aborted
  }

  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#parts.context
    try {
      await delay(ms, undefined, { signal: AbortSignal.any([signal, this.#abort.signal]) })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }
}

/** Opens nothing. */
function isAbsent(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0
}
