import type { StoreCapabilities } from './capabilities.ts'
import type {
  CallOptions,
  DeleteFailure,
  DeleteOptions,
  DirEntry,
  GetOptions,
  GetResult,
  ListOptions,
  ObjectInfo,
  ObjectStore,
  PutBody,
  PutOptions,
  PutResult,
} from './object-store.ts'

export type StoreVerb = 'check' | 'put' | 'get' | 'head' | 'list' | 'delete' | 'deleteMany'

/** Counts the calls of a store by verb; `listDir` counts as `list`. Owns the inner store and closes it. */
export class ObservedStore implements ObjectStore {
  readonly #inner: ObjectStore
  readonly #counts: Record<StoreVerb, number> = {
    check: 0,
    put: 0,
    get: 0,
    head: 0,
    list: 0,
    delete: 0,
    deleteMany: 0,
  }

  constructor(inner: ObjectStore) {
    this.#inner = inner
  }

  /** Calls since construction; a copy. */
  get calls(): Readonly<Record<StoreVerb, number>> {
    return { ...this.#counts }
  }

  /** Calls of all verbs since construction. */
  get totalCalls(): number {
    return Object.values(this.#counts).reduce((sum, count) => sum + count, 0)
  }

  get description(): string {
    return this.#inner.description
  }

  get capabilities(): StoreCapabilities {
    return this.#inner.capabilities
  }

  check(options?: CallOptions): Promise<void> {
    this.#counts.check++
    return this.#inner.check(options)
  }

  put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    this.#counts.put++
    return this.#inner.put(key, body, options)
  }

  get(key: string, options?: GetOptions): Promise<GetResult> {
    this.#counts.get++
    return this.#inner.get(key, options)
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    this.#counts.head++
    return this.#inner.head(key, options)
  }

  list(options?: ListOptions): AsyncIterable<ObjectInfo> {
    this.#counts.list++
    return this.#inner.list(options)
  }

  listDir(options?: ListOptions): AsyncIterable<DirEntry> {
    this.#counts.list++
    return this.#inner.listDir(options)
  }

  delete(key: string, options?: DeleteOptions): Promise<void> {
    this.#counts.delete++
    return this.#inner.delete(key, options)
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    this.#counts.deleteMany++
    return this.#inner.deleteMany(keys, options)
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
