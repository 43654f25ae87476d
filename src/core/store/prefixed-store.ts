import type { StoreCapabilities } from './capabilities.ts'
import { assertKey } from './key.ts'
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
import { copyError, isStoreError, type StoreError } from './store-error.ts'

/**
 * A store under a key path of another one. It sees nothing outside `prefix/`, and all its keys,
 * including those in errors, are relative. It owns the inner store and closes it.
 */
export class PrefixedStore implements ObjectStore {
  readonly description: string
  readonly #inner: ObjectStore
  readonly #root: string

  /**
   * @param prefix a key path, `a/b`, without a slash at either end
   * @throws StoreError `InvalidKey`
   */
  constructor(inner: ObjectStore, prefix: string) {
    assertKey(prefix, 'open')
    this.#inner = inner
    this.#root = `${prefix}/`
    this.description = `${inner.description.replace(/\/$/, '')}/${prefix}`
  }

  get capabilities(): StoreCapabilities {
    const { capabilities } = this.#inner
    return { ...capabilities, maxKeyBytes: capabilities.maxKeyBytes - this.#root.length }
  }

  async check(options?: CallOptions): Promise<void> {
    await this.#inner.check(options)
  }

  put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    return this.#call('put', key, (full) => this.#inner.put(full, body, options))
  }

  async get(key: string, options?: GetOptions): Promise<GetResult> {
    const result = await this.#call('get', key, (full) => this.#inner.get(full, options))
    return { ...result, info: this.#info(result.info), body: this.#relative(result.body) }
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    const info = await this.#call('head', key, (full) => this.#inner.head(full, options))
    return info && this.#info(info)
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return map(this.#relative(this.#inner.list(this.#listOptions(options))), (info) =>
      this.#info(info),
    )
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return map(this.#relative(this.#inner.listDir(this.#listOptions(options))), (entry) =>
      entry.kind === 'object'
        ? { kind: 'object', object: this.#info(entry.object) }
        : { kind: 'prefix', prefix: this.#strip(entry.prefix) },
    )
  }

  delete(key: string, options?: DeleteOptions): Promise<void> {
    return this.#call('delete', key, (full) => this.#inner.delete(full, options))
  }

  async *deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    // With the prefix in front, an illegal key is still illegal: the inner store reports it.
    const failures = this.#inner.deleteMany(this.#fullKeys(keys), options)
    for await (const failure of this.#relative(failures)) {
      yield { key: this.#strip(failure.key), error: this.#error(failure.error) }
    }
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #call<T>(op: string, key: string, work: (full: string) => Promise<T>): Promise<T> {
    assertKey(key, op)
    try {
      return await work(this.#root + key)
    } catch (error) {
      throw this.#relativeError(error)
    }
  }

  async *#fullKeys(keys: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string> {
    for await (const key of keys) yield this.#root + key
  }

  #relative<T>(items: AsyncIterable<T>): AsyncIterable<T> {
    return {
      [Symbol.asyncIterator]: () => {
        const iterator = items[Symbol.asyncIterator]()
        const relative = (error: unknown) => {
          throw this.#relativeError(error)
        }
        return {
          next: () => iterator.next().catch(relative),
          return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
        }
      },
    }
  }

  #listOptions(options: ListOptions): ListOptions {
    const { prefix = '', startAfter } = options
    return {
      ...options,
      prefix: this.#root + prefix,
      startAfter: startAfter ? this.#root + startAfter : undefined,
    }
  }

  #info(info: ObjectInfo): ObjectInfo {
    return { ...info, key: this.#strip(info.key) }
  }

  #strip(key: string): string {
    return key.startsWith(this.#root) ? key.slice(this.#root.length) : key
  }

  #relativeError(error: unknown): unknown {
    return isStoreError(error) ? this.#error(error) : error
  }

  #error(error: StoreError): StoreError {
    if (error.key === undefined) return error
    return copyError(error, { key: this.#strip(error.key) })
  }
}

function map<T, U>(items: AsyncIterable<T>, change: (item: T) => U): AsyncIterable<U> {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = items[Symbol.asyncIterator]()
      return {
        next: async () => {
          const step = await iterator.next()
          return step.done === true ? step : { done: false, value: change(step.value) }
        },
        return: async () => {
          await iterator.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}
