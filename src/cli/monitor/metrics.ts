import { Counter, Gauge, Registry } from 'prom-client'
import { WORKS } from '../../core/engine/events.ts'
import { isStoreError } from '../../core/store/index.ts'
import type { StoreVerb } from '../../core/store/observed-store.ts'
import type { NotifierCounts } from '../notify/notifier.ts'
import type { FleetEvent } from '../watch/fleet-event.ts'
import type { FleetStatus } from '../watch/fleet-status.ts'
import { databaseSeries } from './database-series.ts'

/** Of more databases only those with the largest lag have series of their own. */
const MAX_LABELLED = 1000

const STATES = [
  'starting',
  'waiting',
  'replicating',
  'behind',
  'fenced',
  'stopped',
  'failing',
  'ending',
  'standby',
]

const VERDICTS = ['good', 'degraded', 'damaged', 'failed']

export interface MetricsSource {
  databases(): readonly FleetStatus[]
  requests(): Readonly<Record<StoreVerb, number>>
  isInTrouble(database: FleetStatus): boolean
  /** Undefined if no heartbeats and no messages are sent. */
  messages(): NotifierCounts | undefined
}

/** What `/metrics` tells, in the format of Prometheus. Nothing is measured until it is asked for. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #source: MetricsSource
  readonly #uploads = this.#counter(
    'walsync_uploads_total',
    'Uploads of changes and full copies, each try that failed included.',
    ['result'],
  )
  readonly #bytes = this.#counter(
    'walsync_uploaded_bytes_total',
    'Bytes of uploaded changes and full copies.',
  )
  readonly #errors = this.#counter('walsync_errors_total', 'Failures, by the work that failed.', [
    'work',
  ])
  readonly #snapshots = this.#counter('walsync_snapshots_total', 'Full copies uploaded.')
  readonly #verifications = this.#counter(
    'walsync_verifications_total',
    'Verifications of replicas, by verdict.',
    ['result'],
  )
  readonly #drills = this.#counter('walsync_drills_total', 'Restore drills, by result.', ['result'])
  readonly #requests = this.#counter(
    'walsync_store_requests_total',
    'Requests to the stores, by kind.',
    ['kind'],
  )
  readonly #heartbeats = this.#counter(
    'walsync_heartbeats_total',
    'Heartbeats to the monitor, by whether it took them.',
    ['result'],
  )
  readonly #webhook = this.#counter(
    'walsync_webhook_messages_total',
    'Messages to the webhook: delivered, failed after all tries, or dropped unsent.',
    ['result'],
  )
  readonly #states = this.#gauge('walsync_databases', 'Databases by state.', ['state'])
  readonly #trouble = this.#gauge(
    'walsync_databases_in_trouble',
    'Databases that someone has to look after.',
  )
  readonly #maxLag = this.#gauge(
    'walsync_max_replication_lag_seconds',
    'Largest lag of all databases.',
  )

  constructor(source: MetricsSource, version: string) {
    this.#source = source
    const info = this.#gauge('walsync_build_info', 'Always 1; the version is a label.', ['version'])
    info.set({ version }, 1)
    const rss = this.#gauge('process_resident_memory_bytes', 'Resident memory size.')
    const start = this.#gauge('process_start_time_seconds', 'Start of the process.')
    start.set(Math.round(Date.now() / 1000 - process.uptime()))
    const cpu = this.#counter('process_cpu_seconds_total', 'CPU time of the process.')
    this.#collectProcess = () => {
      rss.set(process.memoryUsage.rss())
      cpu.reset()
      const { user, system } = process.cpuUsage()
      cpu.inc((user + system) / 1e6)
    }
    // From the start, because Prometheus sees no increase in a series that begins with its first event.
    for (const result of ['success', 'failure']) this.#uploads.inc({ result }, 0)
    for (const result of VERDICTS) this.#verifications.inc({ result }, 0)
    for (const work of WORKS) this.#errors.inc({ work }, 0)
    for (const result of ['passed', 'failed', 'not-run']) this.#drills.inc({ result }, 0)
  }

  readonly #collectProcess: () => void

  get contentType(): string {
    return this.#registry.contentType
  }

  count(event: FleetEvent): void {
    switch (event.type) {
      case 'synced':
      case 'base':
      case 'snapshot':
        this.#uploads.inc({ result: 'success' })
        this.#bytes.inc(event.bytes)
        if (event.type !== 'synced') this.#snapshots.inc()
        break
      case 'store-error':
      case 'database-error':
        this.#errors.inc({ work: event.during })
        if (isFailedUpload(event)) this.#uploads.inc({ result: 'failure' })
        break
      case 'maintenance-error':
        this.#errors.inc({ work: 'upkeep' })
        break
      case 'spool-failed':
        this.#errors.inc({ work: 'spool' })
        break
      case 'verified':
        this.#verifications.inc({ result: event.verdict })
        break
      case 'verify-failed':
        this.#verifications.inc({ result: 'failed' })
        break
      case 'drill-passed':
        this.#drills.inc({ result: 'passed' })
        break
      case 'drill-failed':
        this.#drills.inc({ result: 'failed' })
        break
      case 'drill-not-run':
        this.#drills.inc({ result: 'not-run' })
        break
    }
  }

  async text(): Promise<string> {
    this.#collectProcess()
    this.#collectRequests()
    this.#collectMessages()
    const databases = this.#source.databases()
    this.#collectSums(databases)
    return `${await this.#registry.metrics()}\n${databaseSeries(labelled(databases))}`
  }

  #collectRequests(): void {
    this.#requests.reset()
    for (const [kind, count] of Object.entries(this.#source.requests())) {
      this.#requests.inc({ kind }, count)
    }
  }

  #collectMessages(): void {
    const messages = this.#source.messages()
    for (const [counter, counts] of [
      [this.#heartbeats, messages?.heartbeats],
      [this.#webhook, messages?.webhook],
    ] as const) {
      counter.reset()
      for (const [result, count] of Object.entries(counts ?? {})) counter.inc({ result }, count)
    }
  }

  #collectSums(all: readonly FleetStatus[]): void {
    const counts = new Map(STATES.map((state) => [state, 0]))
    let [trouble, maxLag] = [0, 0]
    for (const database of all) {
      counts.set(database.state, (counts.get(database.state) ?? 0) + 1)
      if (this.#source.isInTrouble(database)) trouble += 1
      maxLag = Math.max(maxLag, database.engine?.lagMs ?? 0)
    }
    for (const [state, count] of counts) this.#states.set({ state }, count)
    this.#trouble.set(trouble)
    this.#maxLag.set(maxLag / 1000)
  }

  #counter<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
  ): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] })
  }
}

type WorkFailed = Extract<FleetEvent, { readonly during: unknown; readonly error: unknown }>

/** The first full copy is part of the replication, in which other requests can fail as well. */
function isFailedUpload({ type, during, error }: WorkFailed): boolean {
  if (type !== 'store-error') return false
  if (during === 'upload' || during === 'snapshot') return true
  const isPut = during === 'replication' && isStoreError(error) && error.op === 'put'
  return isPut && error.key?.endsWith('.ltx') === true
}

function labelled(all: readonly FleetStatus[]): readonly FleetStatus[] {
  if (all.length <= MAX_LABELLED) return all
  return all
    .toSorted((a, b) => (b.engine?.lagMs ?? 0) - (a.engine?.lagMs ?? 0))
    .slice(0, MAX_LABELLED)
}
