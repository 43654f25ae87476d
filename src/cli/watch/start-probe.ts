import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type ObjectStore,
  type ProbeReport,
  probeStore,
  unfitStore,
} from '../../core/store/index.ts'
import type { CommandContext } from '../command-context.ts'

/** Where a start-up probe reports its findings. */
type Reporter = Pick<CommandContext, 'logger' | 'output'>

/**
 * Probes the store while `watch` starts and its databases are opened. An unreachable store is only
 * a warning, because replication waits for it as at any other time. A store that does not return
 * what was stored in it is refused.
 */
export class StartProbe {
  readonly #store: ObjectStore
  readonly #reporter: Reporter
  readonly #abort = new AbortController()
  #running: Promise<void> | undefined

  constructor(store: ObjectStore, reporter: Reporter) {
    this.#store = store
    this.#reporter = reporter
  }

  /**
   * Sends nothing before the next turn of the event loop, so that a start that is refused
   * immediately leaves no trace in the store.
   *
   * @throws StoreError if the store is not suitable for replicas
   */
  async begin(): Promise<void> {
    this.#running ??= this.#run()
    await this.#running
  }

  /** Ends a probe that is still running and removes its objects. Never rejects. */
  async end(): Promise<void> {
    this.#abort.abort()
    await this.#running?.catch(() => {})
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    let report: ProbeReport
    try {
      await nextTurn(undefined, { signal })
      report = await probeStore(this.#store, { signal })
    } catch (error) {
      if (signal.aborted) return
      const { message, code } = error as { message?: unknown; code?: unknown }
      this.#reporter.logger.warn({ code }, `the store could not be probed: ${message ?? error}`)
      return
    }
    tellProbe(report, this.#store, this.#reporter)
    const unfit = unfitStore(report, this.#store.description)
    if (unfit !== undefined) throw unfit
  }
}

/**
 * At most one warning about deviations of the store that are not fatal, and one about missing
 * permissions.
 */
function tellProbe(report: ProbeReport, store: ObjectStore, { logger, output }: Reporter): void {
  const { checks, denied, leftBehind, latencyMs } = report
  const lacking = checks.filter(
    ({ name, status, fatal }) =>
      (status === 'failed' && fatal !== true) || (name === 'create-only' && status === 'skipped'),
  )
  const { description } = store
  if (lacking.length > 0) {
    const seen = lacking.map(({ sentence }) => sentence).join(' ')
    const words = `the store does not behave as walsync expects. ${seen}`
    logger.warn({ store: description, checks: lacking.map(({ name }) => name) }, words)
  }
  if (denied.length > 0) {
    const verbs = denied.map(({ verb }) => verb)
    const left = leftBehind.length === 0 ? '' : `; left behind: ${leftBehind.join(', ')}`
    logger.warn({ store: description, denied: verbs }, `the credentials may not ${verbs}${left}`)
  }
  logger.debug({ store: description, checks, latencyMs }, 'store probed')
  output.event({ time: new Date(), event: 'store-probed', ...report })
}

/** Warns once at the start, for example about Global buckets of Tigris. */
export function warnOfRegions(
  { capabilities, description }: ObjectStore,
  { logger }: Reporter,
): void {
  if (capabilities.consistency !== 'same-region') return
  logger.warn(
    { store: description },
    'the store is consistent within one region only: run every writer of a replica in one region, or two of them could overwrite each other unnoticed (on Tigris, ?consistency=strong says that the bucket is not Global)',
  )
}
