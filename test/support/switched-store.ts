import type {
  CallOptions,
  DeleteOptions,
  GetOptions,
  ListOptions,
  ObjectStore,
  PutBody,
  PutOptions,
} from '../../src/core/store/index.ts'

/** A store that can be switched off: every call then rejects with `failure`. Counts what it refused. */
export class SwitchedStore implements ObjectStore {
  failure: Error | undefined
  failed = 0
  readonly #store: ObjectStore

  constructor(store: ObjectStore) {
    this.#store = store
  }

  get description(): string {
    return this.#store.description
  }

  get capabilities() {
    return this.#store.capabilities
  }

  async check(options?: CallOptions) {
    this.#assertOn()
    await this.#store.check(options)
  }

  async put(key: string, body: PutBody, options?: PutOptions) {
    this.#assertOn()
    return await this.#store.put(key, body, options)
  }

  async get(key: string, options?: GetOptions) {
    this.#assertOn()
    return await this.#store.get(key, options)
  }

  async head(key: string, options?: CallOptions) {
    this.#assertOn()
    return await this.#store.head(key, options)
  }

  async *list(options?: ListOptions) {
    this.#assertOn()
    yield* this.#store.list(options)
  }

  async *listDir(options?: ListOptions) {
    this.#assertOn()
    yield* this.#store.listDir(options)
  }

  async delete(key: string, options?: DeleteOptions) {
    this.#assertOn()
    await this.#store.delete(key, options)
  }

  async *deleteMany(keys: Iterable<string> | AsyncIterable<string>, options?: CallOptions) {
    this.#assertOn()
    yield* this.#store.deleteMany(keys, options)
  }

  async close() {
    await this.#store.close()
  }

  async [Symbol.asyncDispose]() {
    await this.close()
  }

  #assertOn(): void {
    if (this.failure === undefined) return
    this.failed += 1
    throw this.failure
  }
}
