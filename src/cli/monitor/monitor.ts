import { timeOf } from '../../core/restore/reachable-states.ts'

import { planRestore } from '../../core/restore/restore-plan.ts'
import type { StoreVerb } from '../../core/store/observed-store.ts'
import type { Notifier } from '../notify/notifier.ts'
import { eventLine } from '../output/event-log.ts'
import { needsAttention, type Unready, unreadyDatabases } from '../status/readiness.ts'
import { statusDocument } from '../status/status-document.ts'
import type { FleetEvent } from '../watch/fleet-event.ts'
import type { WatchRun } from '../watch/watch-run.ts'
import { Metrics } from './metrics.ts'

/** How often lag is noted for the page, in milliseconds, and how many notes are kept for each database. */
const SAMPLE_MS = 15_000
const SAMPLES = 120
/** Databases whose lag is noted: what the page shows at once. */
const SAMPLED = 200
/** Events and verifications that the page can show. */
const KEPT_EVENTS = 200
/** Restore drills that the page can show. */
const SHOWN_DRILLS = 100
/** Restorable states that the page offers for one database. */
const MAX_STATES = 500

/** What is worth a line on the page; the others are too many. */
const QUIET: ReadonlySet<string> = new Set([
  'synced',
  'checkpoint',
  'compacted',
  'claimed',
  'idle',
  'reopened',
])

interface Usage {
  readonly day: string
  readonly requests: Record<string, number>
  uploadedBytes: number
}

/** What the HTTP interface tells of one `watch`. Reads what the process knows; sends no request to a store. */
export class Monitor {
  readonly metrics: Metrics
  readonly #run: WatchRun
  readonly #version: string
  readonly #startedAt = new Date(Date.now() - process.uptime() * 1000)
  readonly #events: object[] = []
  readonly #verifications: object[] = []
  readonly #lags = new Map<string, number[]>()
  readonly #timer: NodeJS.Timeout
  readonly #stop: () => void
  #today: Usage

  /** @param notifier what sends heartbeats and messages, if anything does */
  constructor(run: WatchRun, version: string, notifier?: Pick<Notifier, 'counts'>) {
    this.#run = run
    this.#version = version
    this.#today = this.#newDay(today())
    this.metrics = new Metrics(
      {
        databases: () => run.fleet.status(),
        requests: () => run.requests(),
        messages: () => notifier?.counts,
        isInTrouble: (database) => needsAttention(database, run.plan.maxLagMs),
      },
      version,
    )
    this.#stop = run.onEvent((event, now) => this.#onEvent(event, now))
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS).unref()
  }

  /** Ends the notes. */
  close(): void {
    clearInterval(this.#timer)
    this.#stop()
  }

  /** As `walsync status --json` prints it for one watcher. */
  status(): object {
    return statusDocument(
      {
        walsync: this.#version,
        startedAt: this.#startedAt,
        config: this.#run.plan.config?.path,
        shutdownTimeoutMs: this.#run.plan.shutdownTimeoutMs,
        databases: this.#run.fleet.status(),
      },
      new Date(),
    )
  }

  /** The databases that keep this process from being ready. A watcher that stands by is ready. */
  unready(): readonly Unready[] {
    return unreadyDatabases(this.#run)
  }

  /** Everything on the page that changes. */
  overview(): object {
    this.#rollDay()
    const databases = this.#run.fleet.status()
    return {
      status: this.status(),
      trouble: databases
        .filter((one) => needsAttention(one, this.#run.plan.maxLagMs))
        .map(({ name }) => name),
      lags: Object.fromEntries(this.#lags),
      sampleMs: SAMPLE_MS,
      events: this.#events,
      verifications: this.#verifications,
      drills: this.#run.drills().slice(0, SHOWN_DRILLS),
      today: {
        day: this.#today.day,
        requests: difference(this.#run.requests(), this.#today.requests),
        uploadedBytes: this.#today.uploadedBytes,
      },
    }
  }

  /** States that one database can be restored to, oldest first, and what each restore would read. */
  states(name: string): object | undefined {
    const files = this.#run.files(name)
    if (files === undefined) return undefined
    const ends = [...new Set(files.map(({ maxTxid }) => maxTxid))].sort((a, b) => (a < b ? -1 : 1))
    const step = Math.max(1, Math.ceil(ends.length / MAX_STATES))
    const chosen = ends.filter((_, i) => i % step === 0 || i === ends.length - 1)
    const states = chosen.flatMap((txid) => {
      try {
        const plan = planRestore(files, { kind: 'txid', txid })
        return [{ txid, time: timeOf(files, txid), bytes: plan.bytes, files: plan.files.length }]
      } catch {
        // A state that only a damaged or pruned chain would lead to.
        return []
      }
    })
    return { name, states }
  }

  onEvent(listener: (line: object) => void): () => void {
    return this.#run.onEvent((event, now) => listener(eventLine(event, now)))
  }

  #onEvent(event: FleetEvent, now: Date): void {
    this.#rollDay()
    this.metrics.count(event)
    if (event.type === 'synced' || event.type === 'base' || event.type === 'snapshot') {
      this.#today.uploadedBytes += event.bytes
    }
    if (event.type === 'verified' || event.type === 'verify-failed') {
      keep(this.#verifications, eventLine(event, now))
    }
    if (!QUIET.has(event.type)) keep(this.#events, eventLine(event, now))
    if (event.type === 'database-removed') this.#lags.delete(event.database)
  }

  #sample(): void {
    const worst = this.#run.fleet
      .status()
      .toSorted((a, b) => (b.engine?.lagMs ?? 0) - (a.engine?.lagMs ?? 0))
      .slice(0, SAMPLED)
    const names = new Set(worst.map(({ name }) => name))
    for (const name of this.#lags.keys()) if (!names.has(name)) this.#lags.delete(name)
    for (const { name, engine } of worst) {
      const lags = this.#lags.get(name) ?? []
      lags.push(Math.round(engine?.lagMs ?? 0))
      if (lags.length > SAMPLES) lags.shift()
      this.#lags.set(name, lags)
    }
  }

  #rollDay(): void {
    if (this.#today.day !== today()) this.#today = this.#newDay(today())
  }

  #newDay(day: string): Usage {
    return { day, requests: { ...this.#run.requests() }, uploadedBytes: 0 }
  }
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}

function keep(list: object[], entry: object): void {
  list.unshift(entry)
  if (list.length > KEPT_EVENTS) list.pop()
}

function difference(
  now: Readonly<Record<StoreVerb, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(now).map(([kind, n]) => [kind, n - (before[kind] ?? 0)]))
}
