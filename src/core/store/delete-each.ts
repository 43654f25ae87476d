import type { DeleteFailure } from './object-store.ts'
import { pull } from './pull.ts'
import { isStoreError } from './store-error.ts'

/** Single deletes in flight at once, for a store without a batch delete. */
const CONCURRENCY = 16

/**
 * `deleteMany` out of single deletes: pulls keys as they are needed and yields only failures.
 *
 * @param deleteOne must honour `signal`
 * @throws the signal's reason; an error of `keys`; and what `deleteOne` throws if that is no
 *   `StoreError` of one key
 */
export async function* deleteEach(
  keys: Iterable<string> | AsyncIterable<string>,
  deleteOne: (key: string) => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<DeleteFailure> {
  const running = new Set<Promise<void>>()
  const failures: DeleteFailure[] = []
  const fatal: unknown[] = []
  const start = (key: string) => {
    const one = deleteOne(key)
      .catch((error: unknown) => {
        if (isStoreError(error) && !signal.aborted) failures.push({ key, error })
        else fatal.push(error)
      })
      .finally(() => running.delete(one))
    running.add(one)
  }
  try {
    for await (const key of pull(keys, signal)) {
      start(key)
      while (running.size >= CONCURRENCY) await Promise.race(running)
      if (fatal.length > 0) throw fatal[0]
      while (failures.length > 0) yield failures.shift()!
    }
  } finally {
    await Promise.all(running)
  }
  if (fatal.length > 0) throw fatal[0]
  yield* failures
}
