import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import type { MaintenanceEvent } from '../../src/core/engine/events.ts'
import { ReplicaCatalogue } from '../../src/core/engine/upkeep/replica-catalogue.ts'
import { ReplicaMaintenance } from '../../src/core/engine/upkeep/replica-maintenance.ts'
import { txid } from '../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { reachableTxids } from '../../src/core/restore/reachable-states.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import { DEFAULT_LEVELS, DEFAULT_RETENTION } from '../../src/core/retention/retention-policy.ts'
import { ObservedStore } from '../../src/core/store/index.ts'
import { CommitStream } from './commit-stream.ts'

export interface VirtualDayOptions {
  readonly seconds: number
  readonly rows: number
  /** Sets the clock of the whole process, in milliseconds. */
  readonly setTime: (now: number) => void
  /** A full copy after so many seconds. */
  readonly snapshotSeconds: number
}

/** Midnight UTC. */
const DAY_START = Date.UTC(2026, 5, 1)

/** A database that commits once a second, its replica, and the upkeep of a watcher, in virtual time. */
export class VirtualDay implements Disposable {
  readonly store = new ObservedStore(new MemoryObjectStore())
  readonly client = new ReplicaClient(this.store, 'ltx')
  readonly catalogue = new ReplicaCatalogue('ltx')
  readonly events: MaintenanceEvent[] = []
  readonly stream: CommitStream
  /** SHA-256 of the database at each TXID that may stay restorable. */
  readonly hashes = new Map<number, string>()
  readonly #options: VirtualDayOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'walsync day '))
  readonly #maintenance: ReplicaMaintenance
  #now = DAY_START

  constructor(options: VirtualDayOptions) {
    this.#options = options
    this.stream = new CommitStream(this.#folder, options.rows)
    const policy = { levels: DEFAULT_LEVELS, retention: DEFAULT_RETENTION, nodeId: 1n }
    this.#maintenance = new ReplicaMaintenance(this.client, this.catalogue, policy, (event) =>
      this.events.push(event),
    )
  }

  /** Time of a TXID, in milliseconds: the base is of the first moment, then one each second. */
  static timeOf(id: number): number {
    return DAY_START + (id - 1) * 1000
  }

  async run(): Promise<void> {
    const { seconds, snapshotSeconds } = this.#options
    this.#setTime(DAY_START)
    await this.#put(9, 1, 1, this.stream.full(DAY_START))
    this.hashes.set(1, this.stream.sha256)
    for (let second = 1; second <= seconds; second++) {
      this.#setTime(DAY_START + second * 1000)
      await this.#upkeep()
      await this.#put(0, second + 1, second + 1, this.stream.commit(this.#now))
      // The last of each half minute is what level 1 keeps.
      const fine = second > seconds - 900
      if (fine || (second + 1) % 30 === 0) this.hashes.set(second + 1, this.stream.sha256)
      if (second % snapshotSeconds === 0) {
        await this.#put(9, 1, second + 1, this.stream.full(this.#now))
        this.hashes.set(second + 1, this.stream.sha256)
      }
    }
    await this.#upkeep()
  }

  /** TXIDs that can be restored now, by a listing. */
  async restorable(): Promise<number[]> {
    return reachableTxids(await this.client.list()).map(Number)
  }

  /** Restores, and returns the SHA-256 of the file. */
  async restore(target: RestoreTarget): Promise<string> {
    const path = join(this.#folder, 'restored.db')
    await restoreReplica(this.client, target, path, { force: true, integrityCheck: 'none' })
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  }

  [Symbol.dispose](): void {
    this.stream[Symbol.dispose]()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #put(level: number, min: number, max: number, bytes: Uint8Array): Promise<void> {
    const createdAt = new Date(this.#now)
    this.catalogue.add(await this.client.put(level, txid(min), txid(max), bytes, { createdAt }))
  }

  async #upkeep(): Promise<void> {
    if (this.#maintenance.dueAt(this.#now) > this.#now) return
    await this.#maintenance.run(this.#now, new AbortController().signal)
  }

  #setTime(now: number): void {
    this.#now = now
    this.#options.setTime(now)
  }
}
