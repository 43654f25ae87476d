import { linkSignals, type SignalLink } from '../../async/signals.ts'
import type { StoreCapabilities } from '../capabilities.ts'
import { assertKey } from '../key.ts'
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
} from '../object-store.ts'
import { copyError, isStoreError, StoreError } from '../store-error.ts'
import { assertDeleteOptions, assertGetOptions, assertPutOptions } from './arguments.ts'
import { type Call, CallScope } from './call-scope.ts'
import { BATCH_KEYS, deleteEach, deleteInBatches, SINGLE_DELETES } from './delete-many.ts'
import { putBody } from './put-body.ts'
import type { DriverCall, DriverGetResult, DriverListOptions, StoreDriver } from './store-driver.ts'

/**
 * A streamed body that nobody starts to read releases its connection after this time, in
 * milliseconds.
 */
const UNREAD_MS = 10_000

/**
 * An `ObjectStore` made from a driver. Everything that must be the same for every backend happens
 * here: checks of keys and options before any I/O, aborts, closing, the length of bodies in both
 * directions, single-use iterables, and errors that are all `StoreError`s.
 */
export class DriverStore implements ObjectStore {
  readonly #driver: StoreDriver
  readonly #scope = new CallScope()
  #closing: Promise<void> | undefined

  /** Owns `driver` and closes it. */
  constructor(driver: StoreDriver) {
    this.#driver = driver
  }

  get description(): string {
    return this.#driver.description
  }

  get capabilities(): StoreCapabilities {
    return this.#driver.capabilities
  }

  async check(options: CallOptions = {}): Promise<void> {
    await this.#run({ op: 'check' }, options, (signal) => this.#driver.check({ signal }))
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    const call = { op: 'put', key, condition: conditionOf(options) } as const
    const { maxObjectBytes } = this.capabilities
    return await this.#run(call, options, (signal) =>
      this.#driver.put(key, putBody(body, { key, maxObjectBytes, signal }), { ...options, signal }),
    )
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    const call = { op: 'get', key } as const
    const { range, ifMatch } = options
    // Lives as long as the body, which outlives the call.
    const unread = new AbortController()
    const life = linkSignals(options.signal, this.#scope.signal, unread.signal)
    try {
      const result = await this.#run(call, options, () =>
        this.#driver.get(key, { range, ifMatch, signal: life.signal }),
      )
      const body = this.#body(call, options, result, { life, unread })
      return { info: result.info, range: result.range, body }
    } catch (error) {
      life.release()
      throw error
    }
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    return await this.#run({ op: 'head', key }, options, (signal) =>
      this.#driver.head(key, { signal }),
    )
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#iterate({ op: 'list' }, options, (signal) =>
      this.#driver.list(listOptions(options, signal)),
    )
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return this.#iterate({ op: 'list' }, options, (signal) => {
      const listed = listOptions(options, signal)
      return this.#driver.listDir?.(listed) ?? foldDirs(this.#driver.list(listed), listed.prefix)
    })
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    const { ifMatch } = options
    const call = { op: 'delete', key, condition: conditionOf(options) } as const
    await this.#run(call, options, (signal) => this.#driver.delete(key, { ifMatch, signal }))
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options: CallOptions = {},
  ): AsyncIterable<DeleteFailure> {
    const call = { op: 'delete', signal: options.signal } as const
    // Single deletes are slow: pulling a few keys at a time lets the caller see progress.
    const batchKeys = this.#driver.deleteBatch === undefined ? SINGLE_DELETES : BATCH_KEYS
    return this.#scope.iterate(call, (signal) =>
      deleteInBatches(keys, batchKeys, (batch) => this.#deleteBatch(batch, signal), signal),
    )
  }

  async close(): Promise<void> {
    this.#closing ??= this.#scope.close().then(() => this.#driver.close())
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #deleteBatch(
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly DeleteFailure[]> {
    if (this.#driver.deleteBatch === undefined) {
      return await deleteEach(keys, (key) => this.delete(key, { signal }), signal)
    }
    try {
      return await this.#driver.deleteBatch(keys, { signal })
    } catch (error) {
      signal.throwIfAborted()
      const failure = this.#storeError(error, { op: 'delete' })
      return keys.map((key) => ({ key, error: copyError(failure, { key }) }))
    }
  }

  #body(
    call: DriverCall,
    { signal }: CallOptions,
    { info, range, body }: DriverGetResult,
    held: { readonly life: SignalLink; readonly unread: AbortController },
  ): AsyncIterable<Uint8Array> {
    const { life, unread } = held
    const expected = range.end - range.start
    if (body instanceof Uint8Array) {
      life.release()
      return this.#iterate(call, { signal }, () => exactly(info.key, expected, [body]))
    }
    const timer = setTimeout(() => {
      unread.abort(unreadError(info.key))
      life.release()
    }, UNREAD_MS).unref()
    return this.#iterate(call, { signal }, async function* () {
      clearTimeout(timer)
      try {
        unread.signal.throwIfAborted()
        yield* exactly(info.key, expected, body)
      } finally {
        life.release()
      }
    })
  }

  #run<T>(
    call: DriverCall,
    { signal }: CallOptions,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#scope.run({ op: call.op, key: call.key, signal }, async (linked) => {
      try {
        return await work(linked)
      } catch (error) {
        throw linked.aborted ? error : this.#storeError(error, call)
      }
    })
  }

  #iterate<T>(
    call: DriverCall,
    { signal }: CallOptions,
    open: (signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncIterable<T> {
    const scoped: Call = { op: call.op, key: call.key, signal }
    const storeError = (error: unknown) => this.#storeError(error, call)
    return this.#scope.iterate(scoped, async function* (linked) {
      try {
        yield* open(linked)
      } catch (error) {
        throw linked.aborted ? error : storeError(error)
      }
    })
  }

  #storeError(error: unknown, call: DriverCall): StoreError {
    if (isStoreError(error)) return error
    return this.#driver.mapError?.(error, call) ?? unknownError(error, call)
  }
}

function conditionOf(options: {
  readonly ifAbsent?: true | undefined
  readonly ifMatch?: string | undefined
}): DriverCall['condition'] {
  if (options.ifAbsent === true) return 'ifAbsent'
  return options.ifMatch === undefined ? undefined : 'ifMatch'
}

function listOptions(
  { prefix = '', startAfter = '' }: ListOptions,
  signal: AbortSignal,
): DriverListOptions {
  return { prefix, startAfter, signal }
}

/** The chunks of a body, without empty ones. Fewer or more bytes than announced are an error. */
async function* exactly(
  key: string,
  expected: number,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let received = 0
  for await (const chunk of chunks) {
    received += chunk.byteLength
    if (received > expected) break
    if (chunk.byteLength > 0) yield chunk
  }
  if (received === expected) return
  const problem = received > expected ? 'continued past' : `ended after ${received} of`
  const message = `The body of ${key} ${problem} its ${expected} bytes.`
  throw new StoreError('Corrupted', message, { op: 'get', key, retryable: true })
}

function unreadError(key: string): StoreError {
  return new StoreError('Timeout', `The body of ${key} was not read for ${UNREAD_MS} ms.`, {
    op: 'get',
    key,
  })
}

function unknownError(cause: unknown, { op, key }: DriverCall): StoreError {
  const what = key === undefined ? op : `${op} of ${key}`
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new StoreError('Unknown', `Unexpected error during ${what}: ${reason}`, {
    op,
    key,
    outcome: op === 'put' || op === 'delete' ? 'unknown' : 'not-applied',
    cause,
  })
}

/** Folds an ascending listing of `prefix` into one level, for services that list without a delimiter. */
export async function* foldDirs(
  objects: AsyncIterable<ObjectInfo>,
  prefix: string,
): AsyncGenerator<DirEntry> {
  let last: string | undefined
  for await (const object of objects) {
    const slash = object.key.indexOf('/', prefix.length)
    if (slash === -1) {
      yield { kind: 'object', object }
      continue
    }
    const dir = object.key.slice(0, slash + 1)
    if (dir !== last) yield { kind: 'prefix', prefix: dir }
    last = dir
  }
}
