import { HandOverLock } from '../../core/db/index.ts'
import type { EngineDatabase } from '../../core/engine/engine.ts'
import { CreateOnlyCheck } from '../../core/replica/writer-claim/create-only-check.ts'
import type { StoreVerb } from '../../core/store/observed-store.ts'
import type { CommandContext } from '../command-context.ts'
import { type OpenedStore, replicaStore } from '../composition/open-store.ts'
import { StartProbe, warnOfRegions } from './start-probe.ts'
import type { WatchedDatabase } from './watched-database.ts'

/** The engine retries indefinitely, so a single call need not: an outage is reported sooner. */
const RETRY = { attempts: 3, totalMs: 15_000 }

interface PooledStore {
  readonly opened: OpenedStore
  readonly probe: StartProbe
  readonly proof: CreateOnlyCheck
}

/** One opened store for each bucket, shared by its databases. They are closed when the command ends. */
export class StorePool {
  readonly #context: CommandContext
  readonly #stores = new Map<string, PooledStore>()
  readonly #bucketOf = new Map<string, string>()

  constructor(context: CommandContext) {
    this.#context = context
  }

  /**
   * Opens stores that are not open yet, without sending a request.
   *
   * @throws UsageError, StoreError for an invalid bucket
   */
  async open(buckets: Iterable<string>): Promise<void> {
    for (const bucket of new Set(buckets)) {
      if (this.#stores.has(bucket)) continue
      const { signal } = this.#context
      const opened = await this.#context.openStore(bucket, { signal, create: true, retry: RETRY })
      warnOfRegions(opened.store, this.#context)
      const probe = new StartProbe(opened.store, this.#context)
      this.#stores.set(bucket, { opened, probe, proof: new CreateOnlyCheck() })
    }
  }

  /** The only store, or how many there are, for messages. */
  get description(): string {
    const stores = [...this.#stores.values()]
    return stores.length === 1
      ? (stores[0]?.opened.store.description ?? '')
      : `${stores.length} stores`
  }

  /** Number of requests to all stores so far, by kind. */
  requests(): Record<StoreVerb, number> {
    const total = { check: 0, put: 0, get: 0, head: 0, list: 0, delete: 0, deleteMany: 0 }
    for (const { opened } of this.#stores.values()) {
      for (const [kind, count] of Object.entries(opened.requests())) {
        total[kind as StoreVerb] += count
      }
    }
    return total
  }

  /** Name of the store of a prepared database, for messages. */
  describe(database: string): string {
    const pooled = this.#stores.get(this.#bucketOf.get(database) ?? '')
    return pooled?.opened.store.description ?? ''
  }

  /**
   * Probes each store once.
   *
   * @throws StoreError of the first store that is not suitable for replicas
   */
  async probe(): Promise<void> {
    await Promise.all([...this.#stores.values()].map(({ probe }) => probe.begin()))
  }

  /** An open store. */
  opened(bucket: string): OpenedStore {
    return this.#pooled(bucket).opened
  }

  /** What the engine needs to replicate a database into its open store. */
  prepare({ name, path, prefix, bucket, replica, settings }: WatchedDatabase): EngineDatabase {
    const { opened, proof } = this.#pooled(bucket)
    this.#bucketOf.set(name, bucket)
    const store = replicaStore(opened, prefix, settings.singleWriter !== 'none')
    const handOverLock = new HandOverLock(path, replica).name
    const { layout } = opened
    return { ...settings, name, path, store, layout, createOnlyCheck: proof, handOverLock }
  }

  #pooled(bucket: string): PooledStore {
    const pooled = this.#stores.get(bucket)
    if (pooled === undefined) throw new TypeError(`Expected ${bucket} to be open.`)
    return pooled
  }

  /** Ends the probes that are still running. */
  async end(): Promise<void> {
    await Promise.all([...this.#stores.values()].map(({ probe }) => probe.end()))
  }
}
