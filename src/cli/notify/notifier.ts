import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { CommandContext } from '../command-context.ts'
import { unreadyDatabases } from '../status/readiness.ts'
import { formatSpan } from '../status/render-status.ts'
import type { WatchRun } from '../watch/watch-run.ts'
import { Heartbeat } from './heartbeat.ts'
import { Incidents } from './incidents.ts'
import { endNotice, type Notice, startNotice, type Watcher } from './notice.ts'
import { OpenFailures } from './open-failures.ts'
import { Receiver } from './receiver.ts'
import { type Trouble, troublesOf } from './trouble.ts'
import { Webhook } from './webhook.ts'

/** How often the databases are looked at for trouble, in milliseconds. */
const LOOK_MS = 2000
/** What the end of the process waits for messages that have not arrived, in milliseconds. */
const GRACE_MS = 3000

/** Messages so far, by what became of them. */
export interface NotifierCounts {
  readonly heartbeats: Readonly<Record<'success' | 'failure', number>>
  readonly webhook: Readonly<Record<'delivered' | 'failed' | 'dropped', number>>
}

/** What one `watch` tells others unasked: heartbeats to a monitor, trouble to a webhook. */
export class Notifier {
  readonly #run: WatchRun
  readonly #watcher: Watcher
  readonly #heartbeat: Heartbeat | undefined
  readonly #webhook: Webhook | undefined
  readonly #incidents = new Incidents()
  readonly #failures = new OpenFailures()
  #timer: NodeJS.Timeout | undefined
  #isStarted = false

  constructor(run: WatchRun, { logger, version }: Pick<CommandContext, 'logger' | 'version'>) {
    const { heartbeat, webhook } = run.plan
    this.#run = run
    this.#watcher = { host: hostname(), pid: process.pid, walsync: version }
    if (heartbeat !== undefined) {
      const { url, intervalMs } = heartbeat
      const unready = () => this.#withoutHeartbeat()
      this.#heartbeat = new Heartbeat({ receiver: new Receiver(url), intervalMs, unready, logger })
    }
    if (webhook !== undefined) {
      const { url, key } = webhook
      this.#webhook = new Webhook({ receiver: new Receiver(url), key, logger })
      run.onEvent((event) => this.#failures.note(event))
      this.#timer = setInterval(() => this.#look(), LOOK_MS).unref()
    }
  }

  get counts(): NotifierCounts {
    return {
      heartbeats: this.#heartbeat?.counts ?? { success: 0, failure: 0 },
      webhook: this.#webhook?.counts ?? { delivered: 0, failed: 0, dropped: 0 },
    }
  }

  /** The databases are replicated from now on. */
  started(): void {
    this.#isStarted = true
    this.#heartbeat?.start()
  }

  /** The databases are being shipped for the last time: what they look like now is no trouble. */
  ending(): void {
    clearInterval(this.#timer)
    this.#heartbeat?.close()
  }

  /**
   * Sends the last messages, within a few seconds.
   *
   * @param unshipped databases whose last changes are not in the store
   */
  async close(unshipped: readonly string[]): Promise<void> {
    this.ending()
    const now = new Date()
    const lasting = this.#incidents.lastLook(this.#troubles(), now.getTime())
    for (const incident of lasting) this.#add(startNotice(incident, this.#watcher, now))
    // A start that failed has lost nothing, and may be tried again every few seconds.
    if (this.#isStarted && unshipped.length > 0) this.#add(this.#notShipped(unshipped, now))
    await this.#webhook?.close(GRACE_MS)
  }

  #look(): void {
    const now = new Date()
    const { started, ended } = this.#incidents.look(this.#troubles(), now.getTime())
    for (const incident of ended) this.#add(endNotice(incident, this.#watcher, now))
    for (const incident of started) this.#add(startNotice(incident, this.#watcher, now))
  }

  #add(notice: Notice): void {
    this.#webhook?.add(notice)
  }

  #troubles(): Map<string, readonly Trouble[]> {
    const { fleet, plan } = this.#run
    const sources = {
      maxLagMs: plan.maxLagMs,
      failureOf: (database: string) => this.#failures.worst(database),
      storeOf: (database: string) => this.#run.storeOf(database),
    }
    const found = new Map<string, readonly Trouble[]>()
    for (const database of fleet.status()) {
      const troubles = troublesOf(database, sources)
      if (troubles.length > 0) found.set(database.name, troubles)
    }
    return found
  }

  /** A watcher that stands by says nothing: its heartbeat would hide the trouble of the one that replicates. */
  #withoutHeartbeat() {
    const standby = this.#run.fleet
      .status()
      .flatMap(({ name, state, reason = state }) => (state === 'standby' ? [{ name, reason }] : []))
    return [...unreadyDatabases(this.#run), ...standby]
  }

  #notShipped(unshipped: readonly string[], now: Date): Notice {
    const reason = `did not reach the store within ${formatSpan(this.#run.plan.shutdownTimeoutMs)}`
    const first = { kind: 'not-shipped', reason } as const
    const databases = new Set(unshipped)
    const since = now.getTime()
    const incident = { id: randomUUID(), kind: first.kind, since, first, databases }
    return startNotice(incident, this.#watcher, now)
  }
}
