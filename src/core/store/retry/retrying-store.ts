import { linkSignals } from '../../async/signals.ts'
import type { StoreCapabilities } from '../capabilities.ts'
import { type Call, CallScope } from '../driver/call-scope.ts'
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
  PutSource,
} from '../object-store.ts'
import { copyError, isStoreError, StoreError } from '../store-error.ts'
import { Attempt, uploadMs } from './attempt.ts'
import { holdsBody } from './read-back.ts'
import { type OpenGet, type ResumableList, replaced, resumeBody, resumeList } from './resume.ts'
import { retryDeletes } from './retry-deletes.ts'
import { RetryBudget, type RetryOptions, RetryPolicy } from './retry-policy.ts'

/**
 * The one layer that repeats calls, for all backends. It retries `retryable` errors, resumes broken
 * bodies and listings, and times out stalled calls.
 *
 * A conditional write is not idempotent: if its response was lost, the repeated write fails because
 * of the first one's effect. Such a failure is resolved here, by reading the object back and
 * comparing all bytes. Comparing bytes rather than a write id in the metadata needs nothing from
 * the backend, and it proves that what is stored is right. The price is that equal bytes from
 * another writer count as ours, so whatever must distinguish two writers has to contain something
 * unique to each (docs/decisions/0016-lost-answers.md).
 */
export class RetryingStore implements ObjectStore {
  readonly #inner: ObjectStore
  readonly #policy: RetryPolicy
  readonly #scope = new CallScope()

  /** Owns `inner` and closes it. @throws StoreError `InvalidArgument` for an option out of range */
  constructor(inner: ObjectStore, options?: RetryOptions) {
    this.#inner = inner
    this.#policy = new RetryPolicy(options)
  }

  get description(): string {
    return this.#inner.description
  }

  get capabilities(): StoreCapabilities {
    return this.#inner.capabilities
  }

  check(options?: CallOptions): Promise<void> {
    return this.#retry({ op: 'check', signal: options?.signal }, (attempt) =>
      attempt.wait(() => this.#inner.check({ signal: attempt.signal })),
    )
  }

  put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    const conditional = options?.ifAbsent === true || options?.ifMatch !== undefined
    return this.#retry({ op: 'put', key, signal: options?.signal }, async (attempt, budget) => {
      const watched = attempt.watch(body)
      const inner = { ...options, signal: attempt.signal }
      if (conditional && budget.outcomeUnknown && !(body instanceof Uint8Array)) {
        const stored = await this.#findOwn(key, body, attempt)
        if (stored !== undefined) return stored
      }
      try {
        return await attempt.wait(() => this.#inner.put(key, watched, inner), uploadMs(body))
      } catch (error) {
        if (!conditional || !budget.outcomeUnknown || !lostCondition(error)) throw error
        return await this.#readBack(key, body, error, attempt)
      }
    })
  }

  async get(key: string, options?: GetOptions): Promise<GetResult> {
    const call = { op: 'get', key, signal: options?.signal }
    // Lives as long as the body, which outlives the call.
    const life = linkSignals(options?.signal, this.#scope.signal)
    let first: OpenGet
    try {
      first = await this.#openGet(call, key, options, life.signal)
    } catch (error) {
      life.release()
      throw error
    }
    const { info, range } = first.result
    const reopen = (start: number) => {
      const rest = { range: { start, end: range.end }, ifMatch: info.version }
      return this.#openGet(call, key, rest, life.signal).catch((error: unknown) => {
        const gone = isStoreError(error) && GONE.has(error.code)
        throw gone ? replaced(key, error) : error
      })
    }
    const budget = new RetryBudget(this.#policy)
    const body = this.#scope.iterate(call, async function* (signal) {
      try {
        yield* resumeBody(first, reopen, budget, signal)
      } finally {
        life.release()
      }
    })
    return { info, range, body }
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#retry({ op: 'head', key, signal: options?.signal }, (attempt) =>
      attempt.wait(() => this.#inner.head(key, { signal: attempt.signal })),
    )
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#list(
      options,
      (inner) => this.#inner.list(inner),
      (info) => info.key,
    )
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    const open = (inner: ListOptions) => this.#inner.listDir(inner)
    // "~" sorts after every character of a key, so it comes after everything under the prefix.
    return this.#list(options, open, (entry) =>
      entry.kind === 'object' ? entry.object.key : `${entry.prefix}~`,
    )
  }

  delete(key: string, options?: DeleteOptions): Promise<void> {
    return this.#retry({ op: 'delete', key, signal: options?.signal }, async (attempt, budget) => {
      const inner = { ...options, signal: attempt.signal }
      try {
        await attempt.wait(() => this.#inner.delete(key, inner))
      } catch (error) {
        if (!budget.outcomeUnknown || !lostCondition(error)) throw error
        const there = await attempt.wait(() => this.#inner.head(key, { signal: attempt.signal }))
        if (there !== undefined) throw error
      }
    })
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    const call = { op: 'delete', signal: options?.signal }
    return this.#scope.iterate(call, (signal) =>
      retryDeletes(this.#inner, keys, this.#policy, signal),
    )
  }

  async close(): Promise<void> {
    await this.#scope.close()
    await this.#inner.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #retry<T>(call: Call, work: (attempt: Attempt, budget: RetryBudget) => Promise<T>): Promise<T> {
    return this.#scope.run(call, async (signal) => {
      const budget = new RetryBudget(this.#policy)
      while (true) {
        const attempt = this.#attempt(call, signal)
        let failure: unknown
        try {
          return await work(attempt, budget)
        } catch (error) {
          failure = error
        } finally {
          attempt.end()
        }
        await budget.pause(failure, signal)
      }
    })
  }

  #openGet(
    call: Call,
    key: string,
    options: GetOptions | undefined,
    life: AbortSignal,
  ): Promise<OpenGet> {
    return this.#scope.run(call, async () => {
      const budget = new RetryBudget(this.#policy)
      while (true) {
        const attempt = this.#attempt(call, life)
        const inner = { ...options, signal: attempt.signal }
        try {
          return { result: await attempt.wait(() => this.#inner.get(key, inner)), attempt }
        } catch (error) {
          attempt.end()
          await budget.pause(error, life)
        }
      }
    })
  }

  /**
   * Checks whether an earlier attempt has arrived, before a source, which may be large, is uploaded
   * again.
   */
  async #findOwn(key: string, body: PutSource, attempt: Attempt): Promise<PutResult | undefined> {
    const { signal } = attempt
    const info = await attempt.wait(() => this.#inner.head(key, { signal }))
    if (info === undefined || info.size !== (body.size ?? info.size)) return undefined
    return await this.#compare(key, body, attempt)
  }

  async #readBack(
    key: string,
    body: PutBody,
    refusal: StoreError,
    attempt: Attempt,
  ): Promise<PutResult> {
    const stored = await this.#compare(key, body, attempt)
    if (stored !== undefined) return stored
    throw copyError(refusal, { outcome: 'unknown' })
  }

  /** The stored object if it consists of exactly the bytes of `body`. */
  async #compare(key: string, body: PutBody, attempt: Attempt): Promise<PutResult | undefined> {
    try {
      const { signal } = attempt
      const { info, body: stored } = await attempt.wait(() => this.#inner.get(key, { signal }))
      const isOurs = await holdsBody(attempt.timeItems(stored), body, signal)
      return isOurs ? { size: info.size, version: info.version } : undefined
    } catch (error) {
      attempt.signal.throwIfAborted()
      throw undecided(key, error)
    }
  }

  #list<T>(
    options: ListOptions,
    open: ResumableList<T>['open'],
    position: ResumableList<T>['position'],
  ): AsyncIterable<T> {
    const call = { op: 'list', signal: options.signal }
    return this.#scope.iterate(call, (signal) => {
      const newAttempt = () => this.#attempt(call, signal)
      const budget = new RetryBudget(this.#policy)
      return resumeList({ open, position, newAttempt }, options, budget, signal)
    })
  }

  #attempt(call: Call, signal: AbortSignal): Attempt {
    return new Attempt(signal, this.#policy.attemptTimeoutMs, call.op, call.key)
  }
}

const GONE: ReadonlySet<string> = new Set(['NotFound', 'PreconditionFailed', 'InvalidRange'])

function lostCondition(error: unknown): error is StoreError {
  return (
    isStoreError(error) && (error.code === 'AlreadyExists' || error.code === 'PreconditionFailed')
  )
}

function undecided(key: string, cause: unknown): StoreError {
  const message = `It is unknown whether the put of ${key} took effect: the response was lost.`
  return new StoreError('Unavailable', message, { op: 'put', key, cause, outcome: 'unknown' })
}
