import {
  abortable,
  assertDeleteOptions,
  assertGetOptions,
  assertKey,
  assertPutOptions,
  type Call,
  type CallOptions,
  CallScope,
  type DeleteFailure,
  type DeleteOptions,
  type DirEntry,
  type GetOptions,
  type GetResult,
  isStoreError,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PutBody,
  type PutOptions,
  type PutResult,
  pull,
  type StoreCapabilities,
  StoreError,
} from '../core/store/index.ts'
import { answerError, type FaultScript } from './fault-script.ts'
import type { FaultTarget } from './faults.ts'

export { FaultScript } from './fault-script.ts'

const BATCH = 1000

/** A store with a breakable way to its service, made of any store and a script: one call is one request, a listing one for each page. */
export class FaultyStore implements ObjectStore {
  readonly #inner: ObjectStore
  readonly #script: FaultScript
  readonly #pageSize: number
  readonly #scope = new CallScope()

  /** Owns `inner`. @param pageSize entries on a page of a listing; default 1,000 */
  constructor(inner: ObjectStore, script: FaultScript, pageSize = 1000) {
    this.#inner = inner
    this.#script = script
    this.#pageSize = pageSize
  }

  get description(): string {
    return this.#inner.description
  }

  get capabilities(): StoreCapabilities {
    return this.#inner.capabilities
  }

  check(options?: CallOptions): Promise<void> {
    const call = { op: 'check', signal: options?.signal }
    return this.#run('head', call, (signal) => this.#inner.check({ signal }))
  }

  async put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    const call = { op: 'put', key, signal: options?.signal }
    return this.#run('put', call, (signal) => this.#inner.put(key, body, { ...options, signal }))
  }

  async get(key: string, options?: GetOptions): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    const ranged = options?.range !== undefined
    const call = { op: 'get', key, signal: options?.signal, ranged }
    let cut: { readonly bytes: number; readonly cleanly: boolean } | undefined
    const result = await this.#run(
      'get',
      call,
      () => this.#inner.get(key, options),
      (bytes, cleanly) => {
        cut = { bytes, cleanly }
      },
    )
    if (cut === undefined) return result
    const { bytes, cleanly } = cut
    const body = this.#scope.iterate(call, async function* () {
      yield* firstBytes(result.body, bytes)
      throw broken(call, cleanly ? 'Corrupted' : 'Unavailable')
    })
    return { ...result, body }
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    const call = { op: 'head', key, signal: options?.signal }
    return this.#run('head', call, (signal) => this.#inner.head(key, { signal }))
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#list(options, (signal) => this.#inner.list({ ...options, signal }))
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return this.#list(options, (signal) => this.#inner.listDir({ ...options, signal }))
  }

  async delete(key: string, options?: DeleteOptions): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    const call = { op: 'delete', key, signal: options?.signal }
    await this.#run('delete', call, (signal) => {
      if (this.#script.refuses(key)) throw refused(key)
      return this.#inner.delete(key, { ...options, signal })
    })
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    const call = { op: 'delete', signal: options?.signal }
    const deleteBatch = (batch: readonly string[]) => this.#deleteBatch(call, batch)
    return this.#scope.iterate(call, async function* (signal) {
      let batch: string[] = []
      for await (const key of pull(keys, signal)) {
        batch.push(key)
        if (batch.length < BATCH) continue
        yield* await deleteBatch(batch)
        batch = []
      }
      if (batch.length > 0) yield* await deleteBatch(batch)
    })
  }

  async close(): Promise<void> {
    await this.#scope.close()
    await this.#inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #list<T>(
    options: ListOptions,
    open: (signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    const call = { op: 'list', signal: options.signal }
    const page = () => this.#run('list', call, async () => {})
    const size = this.#pageSize
    return this.#scope.iterate(call, async function* (signal) {
      await page()
      let count = 0
      for await (const entry of open(signal)) {
        if (count > 0 && count % size === 0) await page()
        count++
        yield entry
      }
    })
  }

  async #deleteBatch(call: Call, batch: readonly string[]): Promise<readonly DeleteFailure[]> {
    const failures: DeleteFailure[] = []
    const allowed = batch.filter((key) => !this.#script.refuses(key))
    for (const key of batch) if (!allowed.includes(key)) failures.push({ key, error: refused(key) })
    try {
      await this.#run('delete', call, async (signal) => {
        for await (const failure of this.#inner.deleteMany(allowed, { signal })) {
          failures.push(failure)
        }
      })
    } catch (error) {
      call.signal?.throwIfAborted()
      if (!isStoreError(error) || error.code === 'Closed') throw error
      return batch.map((key) => ({ key, error }))
    }
    return failures
  }

  #run<T>(
    target: FaultTarget,
    call: Call & { readonly ranged?: boolean },
    work: (signal: AbortSignal) => Promise<T>,
    onCut?: (bytes: number, cleanly: boolean) => void,
  ): Promise<T> {
    return this.#scope.run(call, async (signal) => {
      const fault = this.#script.take(target)
      switch (fault?.kind) {
        case undefined:
          return work(signal)
        case 'answer':
          throw answerError(fault, call.op, call.key)
        case 'dropRequest':
          throw broken(call, 'Unavailable')
        case 'dropResponse':
          await work(signal)
          throw broken(call, 'Unavailable')
        case 'ignoreRange':
          if (call.ranged !== true) return work(signal)
          throw broken(call, 'Corrupted')
        case 'before':
          await fault.hook()
          return work(signal)
        case 'cutBody':
          if (onCut === undefined) throw broken(call, 'Unavailable')
          onCut(fault.bytes, fault.cleanly)
          return work(signal)
        case 'stall': {
          const { released } = this.#script
          if (fault.afterCommit) await work(signal)
          await abortable(released, signal)
          throw broken(call, 'Unavailable')
        }
      }
    })
  }
}

async function* firstBytes(
  body: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of body) {
    yield chunk.subarray(0, left)
    left -= chunk.byteLength
    if (left <= 0) return
  }
}

function broken(call: Call, code: 'Unavailable' | 'Corrupted'): StoreError {
  const what = call.key === undefined ? call.op : `${call.op} of ${call.key}`
  const writes = call.op === 'put' || call.op === 'delete'
  return new StoreError(code, `The answer was lost or damaged: ${what}.`, {
    op: call.op,
    key: call.key,
    outcome: writes ? 'unknown' : 'not-applied',
  })
}

function refused(key: string): StoreError {
  const message = `Access was denied: delete of ${key}.`
  return new StoreError('PermissionDenied', message, { op: 'delete', key })
}
