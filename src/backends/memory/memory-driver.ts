import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  type DriverBody,
  type DriverDeleteOptions,
  type DriverGetOptions,
  type DriverGetResult,
  type DriverListOptions,
  type DriverPutOptions,
  joinChunks,
  type ObjectInfo,
  type PutResult,
  resolveRange,
  type StoreCapabilities,
  type StoreDriver,
  StoreError,
} from '../../core/store/index.ts'
import type { MemoryContainer } from './memory-container.ts'

const PAGE_SIZE = 1000
const CHUNK_BYTES = 64 * 1024

/** Calls on a `MemoryContainer`. */
export class MemoryDriver implements StoreDriver {
  readonly description: string
  readonly capabilities: StoreCapabilities = {
    ifAbsent: 'atomic',
    ifMatch: 'atomic',
    deleteIfMatch: 'atomic',
    consistency: 'strong',
    flatNamespace: true,
    listsCreatedAt: true,
    maxObjectBytes: 2 ** 31,
    maxKeyBytes: 512,
  }
  readonly #container: MemoryContainer

  constructor(container: MemoryContainer, name: string) {
    this.#container = container
    this.description = `mem://${name}`
  }

  async check(): Promise<void> {
    this.#assertExists('check')
  }

  async put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult> {
    this.#assertExists('put', key)
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(new Uint8Array(chunk))
    this.#assertCondition('put', key, options)
    const { info } = this.#container.set(key, joinChunks(chunks), options.createdAt)
    return { size: info.size, version: info.version }
  }

  async get(key: string, { range, ifMatch, signal }: DriverGetOptions): Promise<DriverGetResult> {
    this.#assertExists('get', key)
    const object = this.#container.get(key)
    if (object === undefined) {
      throw new StoreError('NotFound', `There is no object ${key}.`, { op: 'get', key })
    }
    const { info } = object
    if (ifMatch !== undefined && ifMatch !== info.version) throw changed('get', key)
    const { start, end } = resolveRange(key, range, info.size)
    return { info, range: { start, end }, body: slices(object.bytes.subarray(start, end), signal) }
  }

  async head(key: string): Promise<ObjectInfo | undefined> {
    this.#assertExists('head', key)
    return this.#container.get(key)?.info
  }

  async *list({ prefix, startAfter, signal }: DriverListOptions): AsyncGenerator<ObjectInfo> {
    let after = startAfter
    while (true) {
      signal.throwIfAborted()
      this.#assertExists('list')
      // Starting at the prefix skips keys that sort before it; `prefix` itself may be a key.
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

  async delete(key: string, options: DriverDeleteOptions): Promise<void> {
    this.#assertExists('delete', key)
    this.#assertCondition('delete', key, options)
    this.#container.delete(key)
  }

  async close(): Promise<void> {}

  #assertCondition(
    op: 'put' | 'delete',
    key: string,
    { ifAbsent, ifMatch }: Pick<DriverPutOptions, 'ifAbsent' | 'ifMatch'>,
  ): void {
    const current = this.#container.get(key)
    if (ifAbsent === true && current !== undefined) {
      throw new StoreError('AlreadyExists', `The object ${key} exists already.`, { op, key })
    }
    if (ifMatch !== undefined && ifMatch !== current?.info.version) throw changed(op, key)
  }

  #assertExists(op: string, key?: string): void {
    if (this.#container.exists) return
    const message = `The container ${this.description} does not exist.`
    throw new StoreError('ContainerNotFound', message, { op, key })
  }
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
