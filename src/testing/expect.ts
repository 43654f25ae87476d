import assert from 'node:assert/strict'
import {
  isStoreError,
  joinChunks as joined,
  type ListOptions,
  type ObjectInfo,
  type ObjectStore,
  type PutSource,
  type StoreError,
  type StoreErrorCode,
} from '../core/store/index.ts'

/** Resolves with the error; fails if there is none or it has another code. */
export async function rejectsWith(
  codes: StoreErrorCode | readonly StoreErrorCode[],
  work: Promise<unknown> | (() => Promise<unknown>),
  expected: { readonly key?: string; readonly outcome?: StoreError['outcome'] } = {},
): Promise<StoreError> {
  const error = await rejection(work)
  assert.ok(isStoreError(error), `expected a StoreError, got ${describe(error)}`)
  const allowed = typeof codes === 'string' ? [codes] : codes
  assert.ok(
    allowed.includes(error.code),
    `expected ${allowed.join(' or ')}, got ${error.code}: ${error.message}`,
  )
  if (expected.key !== undefined) assert.equal(error.key, expected.key, 'key of the error')
  if (expected.outcome !== undefined) assert.equal(error.outcome, expected.outcome, 'outcome')
  return error
}

/** What a promise rejects with; fails if it resolves or the function throws without a promise. */
export async function rejection(
  work: Promise<unknown> | (() => Promise<unknown>),
): Promise<unknown> {
  let promise: Promise<unknown>
  try {
    promise = typeof work === 'function' ? work() : work
  } catch (error) {
    assert.fail(`threw instead of rejecting: ${describe(error)}`)
  }
  return promise.then(
    () => assert.fail('expected a rejection, it resolved'),
    (error: unknown) => error,
  )
}

/** Fails if the promise takes longer. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `${what} took over ${ms} ms` })),
      ms,
    )
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
    promise.catch(() => {})
  }
}

/**
 * For background work: if the case fails before awaiting it, its failure does not become an
 * unhandled rejection.
 */
export function background<T>(work: Promise<T>): Promise<T> {
  work.catch(() => {})
  return work
}

/** Reproducible bytes of any length, different for each seed. */
export function bytes(length: number, seed = 1): Uint8Array {
  const out = new Uint8Array(length)
  let state = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    out[i] = state
  }
  return out
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

/** A source that yields these chunks each time it is opened. */
export function source(chunks: readonly Uint8Array[], size?: number): PutSource {
  return {
    ...(size === undefined ? {} : { size }),
    async *open() {
      yield* chunks
    },
  }
}

/** A source that yields `first`, then waits for `go`, and records whether it was closed. */
export function pausedSource(first: Uint8Array, rest: Uint8Array, size?: number) {
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const iterator = () => {
    let step = 0
    return {
      async next(): Promise<IteratorResult<Uint8Array>> {
        if (step++ === 0) return { done: false, value: first }
        reached.resolve()
        await go.promise
        return step === 2 ? { done: false, value: rest } : { done: true, value: undefined }
      },
      async return(): Promise<IteratorResult<Uint8Array>> {
        closed.resolve()
        return { done: true, value: undefined }
      },
    }
  }
  const body: PutSource = {
    ...(size === undefined ? {} : { size }),
    open: () => ({ [Symbol.asyncIterator]: iterator }),
  }
  return { body, reached: reached.promise, go: go.resolve, closed: closed.promise }
}

export async function read(store: ObjectStore, key: string): Promise<Uint8Array> {
  return drain((await store.get(key)).body)
}

export async function drain(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) {
    assert.ok(chunk instanceof Uint8Array, 'a chunk of the body is not a Uint8Array')
    chunks.push(new Uint8Array(chunk))
  }
  return joined(chunks)
}

export async function readText(store: ObjectStore, key: string): Promise<string> {
  return new TextDecoder().decode(await read(store, key))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export async function keysOf(store: ObjectStore, options?: ListOptions): Promise<string[]> {
  return (await collect(store.list(options))).map((info: ObjectInfo) => info.key)
}

/** Compares bytes without printing megabytes on failure. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array, what = 'bytes'): void {
  assert.equal(actual.byteLength, expected.byteLength, `length of ${what}`)
  if (Buffer.compare(actual, expected) === 0) return
  const at = actual.findIndex((byte, i) => byte !== expected[i])
  assert.fail(`${what} differ from offset ${at}`)
}

export async function putAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
  const left = [...keys]
  const worker = async () => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) await store.put(key, text(key))
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}

/** The items in an unsorted order that is the same in every run. */
export function shuffled<T>(items: readonly T[]): T[] {
  const random = bytes(items.length * 2, 7)
  return items
    .map((item, i) => ({ item, rank: random[2 * i]! * 256 + random[2 * i + 1]! }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

export { joined }

/** How many conflicts a writer may meet before a race counts as undecided. */
const MAX_CONFLICTS = 20

/** Repeats a write that met a conflict in which nothing was stored, as a retry layer does. */
export async function untilDecided<T>(write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write()
    } catch (error) {
      const isConflict = isStoreError(error) && error.retryable && error.outcome === 'not-applied'
      if (!isConflict || attempt === MAX_CONFLICTS) throw error
    }
  }
}
