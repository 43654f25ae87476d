import { setTimeout as delay } from 'node:timers/promises'
import { Engine, type EngineDatabase } from '../../core/engine/engine.ts'
import type { LtxFileInfo } from '../../core/replica/replica-client.ts'
import type { StoreVerb } from '../../core/store/observed-store.ts'
import { UsageError } from '../args/usage-error.ts'
import type { CommandContext } from '../command-context.ts'
import type { Config } from '../config/config.ts'
import { eventLine } from '../output/event-log.ts'
import { errorReport } from '../output/report-error.ts'
import { DatabaseDiscovery } from './database-discovery.ts'
import { DrillHistory } from './drill-history.ts'
import { FirstDatabases } from './first-databases.ts'
import { Fleet } from './fleet.ts'
import type { FleetEvent } from './fleet-event.ts'
import { HandOver } from './hand-over.ts'
import { OutageLog } from './outage-log.ts'
import { refuseConflicts, resolveDatabases, type WantedDatabase } from './resolve-databases.ts'
import { StorePool } from './store-pool.ts'
import { fixedDifferences, type WatchPlan, type WatchRequest, watchPlan } from './watch-plan.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** How long a start waits for the probe beyond its databases; a refusal that comes later ends the run. */
const PROBE_PATIENCE_MS = 5000

/** One `watch`, from the plan to the last sync: its stores, the engine, and the files that come and go. */
export class WatchRun {
  readonly fleet: Fleet
  /** Rejects once the probe of the start has found a store in which no replica may be kept; never resolves. */
  readonly refused: Promise<never>
  readonly #refuse: (error: unknown) => void
  readonly #context: CommandContext
  readonly #request: Omit<WatchRequest, 'config'>
  readonly #stores: StorePool
  readonly #engine: Engine
  readonly #discovery: DatabaseDiscovery
  readonly #log: OutageLog
  readonly #listeners = new Set<(event: FleetEvent, now: Date) => void>()
  readonly #handOver: HandOver
  readonly #drills: DrillHistory
  /** Databases named by their paths, which must be right before the application starts. */
  readonly #named: readonly WantedDatabase[]
  readonly #first: FirstDatabases
  /** The files are looked at again and again. */
  #isLooking = false
  #isStarted = false
  #probed: Promise<void> | undefined
  #plan: WatchPlan

  /**
   * Reads the command line together with the file, and opens the stores. Nothing is written yet.
   *
   * @throws UsageError, StoreError
   */
  static async open(
    context: CommandContext,
    request: Omit<WatchRequest, 'config'>,
  ): Promise<WatchRun> {
    const plan = watchPlan({ ...request, config: context.config })
    const stores = new StorePool(context)
    await stores.open(plan.sources.map(({ bucket }) => bucket))
    return new WatchRun(context, request, plan, stores)
  }

  private constructor(
    context: CommandContext,
    request: Omit<WatchRequest, 'config'>,
    plan: WatchPlan,
    stores: StorePool,
  ) {
    const { cwd, logger } = context
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.refused = promise
    this.#refuse = reject
    this.#context = context
    this.#request = request
    this.#plan = plan
    this.#stores = stores
    this.#log = new OutageLog(logger, (database) => stores.describe(database))
    this.#named = namedDatabases(plan, cwd)
    this.#engine = new Engine({
      databases: [],
      onEvent: (event) => this.fleet.onEngineEvent(event),
    })
    this.#handOver = new HandOver(({ name, path }, error) =>
      logger.warn(
        { database: name, path },
        `a second watcher of this file will not be noticed before it takes over: ${error.message}`,
      ),
    )
    this.#drills = new DrillHistory((database, error) =>
      logger.warn({ database }, `the history of the restore drills is not kept: ${error.message}`),
    )
    this.fleet = new Fleet({
      engine: this.#engine,
      prepare: (database) => this.#prepare(database),
      lastDrill: (name) => this.#drills.of(name)[0],
      onEvent: (event) => this.#tell(event),
      handOver: this.#handOver,
    })
    this.#first = new FirstDatabases({
      context,
      plan,
      stores,
      handOver: this.#handOver,
      fleet: this.fleet,
      tell: (event) => this.#tell(event),
    })
    this.#discovery = new DatabaseDiscovery(plan, this.fleet, cwd, {
      refused: (path, reason) => logger.error({ path }, `not replicated: ${reason}`),
      unreadable: (folder, error) =>
        logger.warn({ folder }, `this folder cannot be read, its databases stay: ${error.message}`),
    })
  }

  get plan(): WatchPlan {
    return this.#plan
  }

  /** Of the only store, or how many there are. */
  get stores(): string {
    return this.#stores.description
  }

  /** Has everything that can be replicated begun to be? Before, not every database has a status. */
  get isStarted(): boolean {
    return this.#isStarted
  }

  /** What the store of a database is called. */
  storeOf(database: string): string {
    return this.#stores.describe(database)
  }

  /** Requests to the stores so far, by kind. */
  requests(): Record<StoreVerb, number> {
    return this.#stores.requests()
  }

  /** Files of one database's replica, as this process knows them. */
  files(name: string): readonly LtxFileInfo[] | undefined {
    return this.#engine.files(name)
  }

  /** The restore drills of all databases, newest first. */
  drills(): ReturnType<DrillHistory['all']> {
    return this.#drills.all()
  }

  /** Calls back with each event of the databases, until the returned function is called. */
  onEvent(listener: (event: FleetEvent, now: Date) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Resolves when everything that can be replicated now is, and what is missing was restored where
   * that was asked for. Databases of the command line must all be there, unless they may be waited for;
   * of the file's, those that are not (yet) are waited for.
   *
   * @throws DatabaseError, StoreError, FencedError of a database of the command line
   * @throws DatabaseError, RestoreError, LegacyError of a missing database that was not restored
   * @throws StoreError of a store in which no replica may be kept, where the probe says so in time
   * @throws UsageError for databases that would share a replica
   */
  async start(): Promise<void> {
    const ready = await this.#first.prepare(this.#named)
    const starting = this.#engine.start(ready.map(({ database }) => this.#prepare(database)))
    if (ready.length > 0) this.#probe()
    await starting
    this.fleet.setRunning(ready)
    if (this.#plan.config !== undefined || ready.length < this.#named.length) {
      this.#isLooking = true
      await this.#discovery.take(this.#plan)
      await this.fleet.settled()
      this.#discovery.start()
    }
    this.#isStarted = true
    // A watcher that stands by sends no request.
    const states = this.fleet.status().map(({ state }) => state)
    if (states.length === 0 || states.some((state) => state !== 'standby')) this.#probe()
    await Promise.race([this.#probed, delay(PROBE_PATIENCE_MS, undefined, { ref: false })])
  }

  #probe(): void {
    if (this.#probed !== undefined || !this.#plan.probe) return
    this.#probed = this.#stores.probe()
    this.#probed.catch(this.#refuse)
  }

  /**
   * Takes up what has come since the last look: an application that is done within one poll interval
   * may have made its database meanwhile. Within the shutdown timeout.
   */
  async lookOnceMore(): Promise<void> {
    if (!this.#isLooking) return
    const timeout = new AbortController()
    const timer = setTimeout(() => timeout.abort(), this.#plan.shutdownTimeoutMs)
    const looked = this.#discovery.lookNow().then(() => this.fleet.settled())
    const late = new Promise<void>((resolve) =>
      timeout.signal.addEventListener('abort', () => resolve()),
    )
    await Promise.race([looked, late])
    clearTimeout(timer)
  }

  /**
   * Reads the file again and applies it, or reports why it cannot and continues as before. Never
   * rejects.
   */
  async reload(): Promise<void> {
    const { logger, output } = this.#context
    const before = this.#plan.config
    if (before === undefined || this.#context.signal.aborted) return
    try {
      const { added, changed, removed, unchanged } = await this.#takeAnew(before)
      const { length } = unchanged
      logger.info({ added, changed, removed, unchanged: length }, 'configuration reloaded')
      const event = { time: new Date(), event: 'config-reloaded', config: before.path }
      output.event({ ...event, added, changed, removed, unchanged })
    } catch (error) {
      if (this.#context.signal.aborted) return
      const { code, message, details } = errorReport(error)
      logger.error({ code, details }, `the configuration is unchanged: ${message}`)
      const event = { time: new Date(), event: 'config-rejected', config: before.path }
      output.event({ ...event, error, details })
    }
  }

  /**
   * Ships what was committed until now, within the shutdown timeout, and ends.
   *
   * @returns names of the databases that could not be shipped in full
   */
  async stop(): Promise<string[]> {
    this.#discovery.stop()
    this.#first.stop()
    const [unshipped] = await Promise.all([
      this.fleet.stop(this.#plan.shutdownTimeoutMs),
      this.#stores.end(),
    ])
    await this.#drills.settled()
    return unshipped
  }

  async #takeAnew(before: Config) {
    const { cwd, env, logger } = this.#context
    const { loadConfig } = await import('../config/load-config.ts')
    const config = await loadConfig({ file: before.label, cwd, env, search: false })
    const plan = watchPlan({ ...this.#request, config })
    const fixed = fixedDifferences(this.#plan, plan)
    if (fixed.length > 0) {
      throw new UsageError(
        `${fixed.join(', ')} cannot change while walsync runs.`,
        'Restart walsync.',
      )
    }
    await this.#stores.open(plan.sources.map(({ bucket }) => bucket))
    const changes = await this.#discovery.take(plan)
    this.#plan = plan
    if (plan.probe) this.#stores.probe().catch((error) => this.#tellRefused(error))
    const { given, flags } = this.#request
    if (!given.has('logLevel') && flags.quiet !== true) logger.level = plan.logLevel ?? 'info'
    return changes
  }

  /** The databases in other stores continue, and a new start with the same file is refused. */
  #tellRefused(error: unknown): void {
    const { code, message, details } = errorReport(error)
    this.#context.logger.error({ code, details }, message)
  }

  #prepare(database: WatchedDatabase): EngineDatabase {
    this.#drills.open(database)
    const lastDrillAt = this.#drills.lastDrillAt(database.name)
    return { ...this.#stores.prepare(database), lastDrillAt }
  }

  #tell(event: FleetEvent): void {
    if (event.type === 'handed-over') this.#probe()
    const now = new Date()
    this.#drills.note(event, now)
    this.#log.log(event, now.getTime())
    this.#context.output.event(eventLine(event, now))
    for (const listener of this.#listeners) listener(event, now)
  }
}

/** @throws UsageError for those of the command line */
function namedDatabases({ sources, isStrict }: WatchPlan, cwd: string): readonly WantedDatabase[] {
  const resolved = resolveDatabases(
    sources.flatMap((source) =>
      source.where.kind === 'path' ? { source, files: [source.where.path] } : [],
    ),
    cwd,
  )
  if (isStrict) refuseConflicts(resolved)
  return resolved.databases
}
