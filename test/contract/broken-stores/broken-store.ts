import type { MemoryContainer } from '../../../src/backends/memory/index.ts'
import type { ObjectStore } from '../../../src/core/store/index.ts'

/** Under which harness the broken store stands: plain memory, with faults below, or with faults and a retry layer below. */
export type Ground = 'plain' | 'faults' | 'retry'

export interface BrokenStore {
  /** What is wrong with it. */
  readonly name: string
  /** Cases that must fail because of it. */
  readonly caughtBy: readonly string[]
  readonly ground?: Ground
  /** For `faults`: claims to retry, so that the cases about retries run. */
  readonly claimsRetry?: boolean
  readonly make: (inner: ObjectStore, container: MemoryContainer) => ObjectStore
}

/** `inner` with some methods replaced. */
export function altered(inner: ObjectStore, change: Partial<ObjectStore>): ObjectStore {
  return {
    get description() {
      return change.description ?? inner.description
    },
    get capabilities() {
      return change.capabilities ?? inner.capabilities
    },
    check: change.check ?? ((options) => inner.check(options)),
    put: change.put ?? ((key, body, options) => inner.put(key, body, options)),
    get: change.get ?? ((key, options) => inner.get(key, options)),
    head: change.head ?? ((key, options) => inner.head(key, options)),
    list: change.list ?? ((options) => inner.list(options)),
    listDir: change.listDir ?? ((options) => inner.listDir(options)),
    delete: change.delete ?? ((key, options) => inner.delete(key, options)),
    deleteMany: change.deleteMany ?? ((keys, options) => inner.deleteMany(keys, options)),
    close: change.close ?? (() => inner.close()),
    [Symbol.asyncDispose]: change[Symbol.asyncDispose] ?? (() => inner.close()),
  }
}

/** An iterable without entries that does `work` at its first step. */
export function once<T>(work: () => Promise<void>): AsyncIterable<T> {
  const next = async (): Promise<IteratorResult<T>> => {
    await work()
    return { done: true, value: undefined }
  }
  return { [Symbol.asyncIterator]: () => ({ next }) }
}

const staged = new WeakMap<MemoryContainer, string[]>()

/** What a broken store has left half written in a container. */
export function leftovers(container: MemoryContainer): string[] {
  const names = staged.get(container) ?? []
  staged.set(container, names)
  return names
}
