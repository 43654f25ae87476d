import { readAll } from '../bytes.ts'
import type { ObjectInfo, ObjectStore, Precondition, PutResult } from '../object-store.ts'
import { isStoreError, type StoreError, type StoreErrorCode } from '../store-error.ts'
import type { ProbeDenial, ProbeVerb } from './probe-report.ts'

/**
 * A call that was answered: with a result, or with an error that says something about the store.
 */
export type Answer<T> =
  | { readonly value: T; readonly error?: undefined }
  | { readonly error: StoreError; readonly value?: undefined }

/** These say nothing about what the store promises, only that it cannot be reached now. */
const OUT_OF_REACH: ReadonlySet<StoreErrorCode> = new Set([
  'ContainerNotFound',
  'Unauthenticated',
  'Closed',
  'NoSpace',
])

/**
 * The body of a probe's put: a name followed by every byte value, so that nothing in between takes
 * it for text.
 */
export function probeBody(text: string): Uint8Array {
  const name = new TextEncoder().encode(text)
  return Uint8Array.from({ length: name.length + 256 }, (_, at) => name[at] ?? at - name.length)
}

/** The calls of one probe: each answer, how long it took, and what was denied. */
export class ProbeCalls {
  readonly latencyMs: Partial<Record<ProbeVerb, number>> = {}
  readonly denied: ProbeDenial[] = []
  readonly #store: ObjectStore
  readonly #signal: AbortSignal | undefined

  constructor(store: ObjectStore, signal: AbortSignal | undefined) {
    this.#store = store
    this.#signal = signal
  }

  put(key: string, text: string, condition: Precondition): Promise<Answer<PutResult>> {
    const options = { ...condition, ...this.#options() }
    return this.#ask('put', () => this.#store.put(key, probeBody(text), options))
  }

  get(key: string): Promise<Answer<{ readonly info: ObjectInfo; readonly bytes: Uint8Array }>> {
    return this.#ask('get', async () => {
      const { info, body } = await this.#store.get(key, this.#options())
      return { info, bytes: await readAll(body) }
    })
  }

  head(key: string): Promise<Answer<ObjectInfo | undefined>> {
    return this.#ask('head', () => this.#store.head(key, this.#options()))
  }

  list(prefix: string): Promise<Answer<readonly ObjectInfo[]>> {
    return this.#ask('list', async () => {
      const found: ObjectInfo[] = []
      for await (const info of this.#store.list({ prefix, ...this.#options() })) found.push(info)
      return found
    })
  }

  delete(keys: readonly string[]): Promise<Answer<void>> {
    return this.#ask('delete', async () => {
      for await (const { error } of this.#store.deleteMany(keys, this.#options())) throw error
    })
  }

  /** @throws the signal's reason; a StoreError if the store is out of reach; any other error */
  async #ask<T>(verb: ProbeVerb, call: () => Promise<T>): Promise<Answer<T>> {
    const start = performance.now()
    try {
      const value = await call()
      const ms = performance.now() - start
      this.latencyMs[verb] = Math.min(this.latencyMs[verb] ?? ms, ms)
      return { value }
    } catch (error) {
      this.#signal?.throwIfAborted()
      if (!isStoreError(error) || error.retryable || OUT_OF_REACH.has(error.code)) throw error
      if (error.code === 'PermissionDenied' && !this.denied.some((one) => one.verb === verb)) {
        this.denied.push({ verb, error })
      }
      return { error }
    }
  }

  #options() {
    return { signal: this.#signal }
  }
}
