import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  assertDeleteOptions,
  assertGetOptions,
  assertKey,
  assertPutOptions,
  type CallOptions,
  CallScope,
  type DeleteFailure,
  type DeleteOptions,
  type DirEntry,
  deleteEach,
  foldDirs,
  type GetOptions,
  type GetResult,
  joinChunks,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PutBody,
  type PutOptions,
  type PutResult,
  readBody,
  resolveRange,
  type StoreCapabilities,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { MemoryContainer } from './memory-container.ts'

const PAGE_SIZE = 1000
const CHUNK_BYTES = 64 * 1024
const MAX_OBJECT_BYTES = 2 ** 31

/** Objects in this process's memory: the reference for the contract, and a store for tests. Nothing survives the process. */
export class MemoryObjectStore implements ObjectStore {
  readonly description: string
  readonly capabilities: StoreCapabilities = {
    ifAbsent: 'atomic',
    ifMatch: 'atomic',
    deleteIfMatch: 'atomic',
    consistency: 'strong',
    flatNamespace: true,
    listsCreatedAt: true,
    maxObjectBytes: MAX_OBJECT_BYTES,
    maxKeyBytes: 512,
  }
  readonly #container: MemoryContainer
  readonly #scope = new CallScope()

  /** @param container shared with other stores to make them clients of the same objects; default: a new one */
  constructor(container: MemoryContainer = new MemoryContainer(), name = '') {
    this.#container = container
    this.description = `mem://${name}`
  }

  async check(options?: CallOptions): Promise<void> {
    await this.#run('check', undefined, options, async () => {})
  }

  async put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    return this.#run('put', key, options, async (signal) => {
      const bytes = await collect(key, body, signal)
      this.#assertCondition('put', key, options)
      const { info } = this.#container.set(key, bytes, options?.createdAt)
      return { size: info.size, version: info.version }
    })
  }

  async get(key: string, options?: GetOptions): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    return this.#run('get', key, options, async () => {
      const object = this.#container.get(key)
      if (object === undefined) {
        throw new StoreError('NotFound', `There is no object ${key}.`, { op: 'get', key })
      }
      if (options?.ifMatch !== undefined && options.ifMatch !== object.info.version) {
        throw changed('get', key)
      }
      const range = resolveRange(key, options?.range, object.info.size)
      const part = object.bytes.subarray(range.start, range.end)
      const call = { op: 'get', key, signal: options?.signal }
      return {
        info: object.info,
        range,
        body: this.#scope.iterate(call, (signal) => slices(part, signal)),
      }
    })
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    return this.#run('head', key, options, async () => this.#container.get(key)?.info)
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    const call = { op: 'list', signal: options.signal }
    return this.#scope.iterate(call, (signal) => this.#list(options, signal))
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    const call = { op: 'list', signal: options.signal }
    return this.#scope.iterate(call, (signal) =>
      foldDirs(this.#list(options, signal), options.prefix ?? ''),
    )
  }

  async delete(key: string, options?: DeleteOptions): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    await this.#run('delete', key, options, async () => {
      this.#assertCondition('delete', key, options)
      this.#container.delete(key)
    })
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    return this.#scope.iterate({ op: 'delete', signal: options?.signal }, (signal) =>
      deleteEach(keys, (key) => this.delete(key, { signal }), signal),
    )
  }

  async close(): Promise<void> {
    await this.#scope.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #run<T>(
    op: string,
    key: string | undefined,
    options: CallOptions | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#scope.run({ op, key, signal: options?.signal }, async (signal) => {
      this.#assertExists(op, key)
      return work(signal)
    })
  }

  async *#list(options: ListOptions, signal: AbortSignal): AsyncGenerator<ObjectInfo> {
    const prefix = options.prefix ?? ''
    let after = options.startAfter ?? ''
    while (true) {
      signal.throwIfAborted()
      this.#assertExists('list', undefined)
      // Keys below the prefix are skipped by starting at it; `prefix` itself may be a key.
      const from = after < prefix ? justBefore(prefix) : after
      const page = this.#container.keysAfter(from, PAGE_SIZE)
      for (const key of page) {
        after = key
        if (key < prefix) continue
        if (!key.startsWith(prefix)) return
        const object = this.#container.get(key)
        if (object !== undefined) yield object.info
      }
      if (page.length < PAGE_SIZE) return
      await nextTurn()
    }
  }

  #assertCondition(
    op: 'put' | 'delete',
    key: string,
    options: { readonly ifAbsent?: true | undefined; readonly ifMatch?: Version | undefined } = {},
  ): void {
    const current = this.#container.get(key)
    if (options.ifAbsent === true && current !== undefined) {
      throw new StoreError('AlreadyExists', `The object ${key} exists already.`, { op, key })
    }
    if (options.ifMatch !== undefined && options.ifMatch !== current?.info.version) {
      throw changed(op, key)
    }
  }

  #assertExists(op: string, key: string | undefined): void {
    if (this.#container.exists) return
    throw new StoreError('ContainerNotFound', `The container ${this.description} does not exist.`, {
      op,
      key,
    })
  }
}

async function collect(key: string, body: PutBody, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of readBody(body, key, signal)) {
    size += chunk.byteLength
    if (size > MAX_OBJECT_BYTES) {
      throw new StoreError('InvalidArgument', `The object ${key} is larger than 2 GiB.`, {
        op: 'put',
        key,
      })
    }
    chunks.push(chunk.slice())
  }
  return joinChunks(chunks)
}

async function* slices(bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
    signal.throwIfAborted()
    yield bytes.slice(at, at + CHUNK_BYTES)
  }
}

function justBefore(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  if (prefix === '' || last === 0) return prefix.slice(0, -1)
  return `${prefix.slice(0, -1)}${String.fromCharCode(last - 1)}\uffff`
}

function changed(op: string, key: string): StoreError {
  return new StoreError('PreconditionFailed', `The object ${key} is not the expected version.`, {
    op,
    key,
  })
}
