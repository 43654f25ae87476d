import { vi } from 'vitest'
import { MemoryObjectStore } from '../../../../src/backends/memory/index.ts'
import type { MaintenanceEvent } from '../../../../src/core/engine/events.ts'
import { ReplicaCatalogue } from '../../../../src/core/engine/upkeep/replica-catalogue.ts'
import {
  type MaintenanceOptions,
  ReplicaMaintenance,
} from '../../../../src/core/engine/upkeep/replica-maintenance.ts'
import { encodeLtx, txid } from '../../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../../src/core/replica/replica-client.ts'
import {
  DEFAULT_LEVELS,
  DEFAULT_RETENTION,
} from '../../../../src/core/retention/retention-policy.ts'
import { type ObjectStore, ObservedStore } from '../../../../src/core/store/index.ts'
import { filled, makeHeader } from '../../ltx/ltx-samples.ts'

/** A replica with its upkeep as a watcher drives it, by a clock that only moves when it is told to. */
export class MaintainedReplica {
  readonly store: ObservedStore
  readonly client: ReplicaClient
  readonly catalogue = new ReplicaCatalogue('ltx')
  readonly events: MaintenanceEvent[] = []
  readonly maintenance: ReplicaMaintenance
  readonly signal = new AbortController()
  /** Calls of `run`. */
  runs = 0
  #txid = 0

  /** @param now where the fake clock stands */
  constructor(
    now: number,
    options: Partial<MaintenanceOptions> = {},
    store: ObjectStore = new MemoryObjectStore(),
  ) {
    vi.setSystemTime(now)
    this.store = new ObservedStore(store)
    this.client = new ReplicaClient(this.store, 'ltx')
    this.maintenance = new ReplicaMaintenance(
      this.client,
      this.catalogue,
      { levels: DEFAULT_LEVELS, retention: DEFAULT_RETENTION, nodeId: 1n, ...options },
      (event) => this.events.push(event),
    )
  }

  /** Ships one transaction; the first one is the base. */
  async commit(pageSize = 512): Promise<void> {
    const n = ++this.#txid
    const createdAt = new Date()
    const header = makeHeader({
      pageSize,
      minTxid: txid(n),
      maxTxid: txid(n),
      timestamp: createdAt.getTime(),
    })
    const bytes = encodeLtx(header, [filled(1, n % 256, pageSize)])
    const level = n === 1 ? 9 : 0
    this.catalogue.add(await this.client.put(level, txid(n), txid(n), bytes, { createdAt }))
  }

  /** Lets time pass, and runs what becomes due on the way. */
  async pass(ms: number): Promise<void> {
    const end = Date.now() + ms
    for (;;) {
      const due = this.maintenance.dueAt(Date.now())
      if (due > end) break
      vi.setSystemTime(Math.max(due, Date.now()))
      await this.run()
    }
    vi.setSystemTime(end)
  }

  async run(): Promise<void> {
    this.runs++
    await this.maintenance.run(Date.now(), this.signal.signal)
  }

  /** Commits once in each interval. */
  async write(commits: number, everyMs: number): Promise<void> {
    for (let i = 0; i < commits; i++) {
      await this.commit()
      await this.pass(everyMs)
    }
  }

  count(type: MaintenanceEvent['type']): number {
    return this.events.filter((event) => event.type === type).length
  }
}
