import { abortable } from '../core/async/signals.ts'
import {
  type DeleteFailure,
  type DirEntry,
  type DriverBody,
  type DriverCall,
  type DriverDeleteOptions,
  type DriverGetOptions,
  type DriverGetResult,
  type DriverListOptions,
  type DriverOptions,
  type DriverPutOptions,
  DriverStore,
  type ObjectInfo,
  type ObjectStore,
  type PutResult,
  type StoreCapabilities,
  type StoreDriver,
  StoreError,
} from '../core/store/index.ts'
import { answerError, type FaultScript } from './fault-script.ts'
import type { FaultTarget } from './faults.ts'

export { FaultScript } from './fault-script.ts'

/**
 * Any store with scripted faults between it and its caller. A call counts as one request, a listing
 * as one per page.
 */
export class FaultyStore extends DriverStore {
  /** Owns `inner`. @param pageSize entries on a page of a listing; default 1,000 */
  constructor(inner: ObjectStore, script: FaultScript, pageSize = 1000) {
    super(new FaultyDriver(inner, script, pageSize))
  }
}

class FaultyDriver implements StoreDriver {
  readonly #inner: ObjectStore
  readonly #script: FaultScript
  readonly #pageSize: number

  constructor(inner: ObjectStore, script: FaultScript, pageSize: number) {
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

  check(options: DriverOptions): Promise<void> {
    return this.#run('head', { op: 'check' }, options, () => this.#inner.check(options))
  }

  async put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult> {
    let sourceError: unknown
    const open = async function* () {
      try {
        yield* body
      } catch (error) {
        sourceError = error
        throw error
      }
    }
    const source = body.bytes ?? { size: body.size, open }
    return await this.#run('put', { op: 'put', key }, options, () =>
      // The inner store wraps errors of its source, but this is an error of the caller's source.
      this.#inner.put(key, source, options).catch((error: unknown) => {
        throw sourceError ?? error
      }),
    )
  }

  async get(key: string, options: DriverGetOptions): Promise<DriverGetResult> {
    const call = { op: 'get', key, ranged: options.range !== undefined } as const
    let cut: { readonly bytes: number; readonly cleanly: boolean } | undefined
    const result = await this.#run(
      'get',
      call,
      options,
      () => this.#inner.get(key, options),
      (bytes, cleanly) => {
        cut = { bytes, cleanly }
      },
    )
    return cut === undefined ? result : { ...result, body: cutShort(result.body, call, cut) }
  }

  head(key: string, options: DriverOptions): Promise<ObjectInfo | undefined> {
    return this.#run('head', { op: 'head', key }, options, () => this.#inner.head(key, options))
  }

  list(options: DriverListOptions): AsyncIterable<ObjectInfo> {
    return this.#pages(options, () => this.#inner.list(options))
  }

  listDir(options: DriverListOptions): AsyncIterable<DirEntry> {
    return this.#pages(options, () => this.#inner.listDir(options))
  }

  async delete(key: string, options: DriverDeleteOptions): Promise<void> {
    await this.#run('delete', { op: 'delete', key }, options, () => {
      if (this.#script.refuses(key)) throw refused(key)
      return this.#inner.delete(key, options)
    })
  }

  async deleteBatch(
    keys: readonly string[],
    options: DriverOptions,
  ): Promise<readonly DeleteFailure[]> {
    const allowed = keys.filter((key) => !this.#script.refuses(key))
    const denied = keys.filter((key) => this.#script.refuses(key))
    return await this.#run('delete', { op: 'delete' }, options, async () => {
      const failures = denied.map((key): DeleteFailure => ({ key, error: refused(key) }))
      for await (const failure of this.#inner.deleteMany(allowed, options)) failures.push(failure)
      return failures
    })
  }

  async close(): Promise<void> {
    await this.#inner.close()
  }

  async *#pages<T>(options: DriverOptions, open: () => AsyncIterable<T>): AsyncGenerator<T> {
    const page = () => this.#run('list', { op: 'list' }, options, async () => {})
    await page()
    let count = 0
    for await (const entry of open()) {
      if (count > 0 && count % this.#pageSize === 0) await page()
      count++
      yield entry
    }
  }

  async #run<T>(
    target: FaultTarget,
    call: DriverCall & { readonly ranged?: boolean },
    { signal }: DriverOptions,
    work: () => Promise<T>,
    onCut?: (bytes: number, cleanly: boolean) => void,
  ): Promise<T> {
    const fault = this.#script.take(target)
    switch (fault?.kind) {
      case undefined:
        return work()
      case 'answer':
        throw answerError(fault, call.op, call.key)
      case 'dropRequest':
        throw broken(call, 'Unavailable')
      case 'dropResponse':
        await work()
        throw broken(call, 'Unavailable')
      case 'ignoreRange':
        if (call.ranged !== true) return work()
        throw broken(call, 'Corrupted')
      case 'before':
        await fault.hook()
        return work()
      case 'cutBody':
        if (onCut === undefined) throw broken(call, 'Unavailable')
        onCut(fault.bytes, fault.cleanly)
        return work()
      case 'stall': {
        const { released } = this.#script
        if (fault.afterCommit) await work()
        await abortable(released, signal)
        throw broken(call, 'Unavailable')
      }
    }
  }
}

async function* cutShort(
  body: AsyncIterable<Uint8Array>,
  call: DriverCall,
  { bytes, cleanly }: { readonly bytes: number; readonly cleanly: boolean },
): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of body) {
    yield chunk.subarray(0, left)
    left -= chunk.byteLength
    if (left <= 0) break
  }
  throw broken(call, cleanly ? 'Corrupted' : 'Unavailable')
}

function broken(call: DriverCall, code: 'Unavailable' | 'Corrupted'): StoreError {
  const what = call.key === undefined ? call.op : `${call.op} of ${call.key}`
  const writes = call.op === 'put' || call.op === 'delete'
  return new StoreError(code, `The response was lost or damaged: ${what}.`, {
    op: call.op,
    key: call.key,
    outcome: writes ? 'unknown' : 'not-applied',
  })
}

function refused(key: string): StoreError {
  const message = `Access was denied: delete of ${key}.`
  return new StoreError('PermissionDenied', message, { op: 'delete', key })
}
