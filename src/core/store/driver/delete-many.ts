import { mapParallel } from '../../async/map-parallel.ts'
import { pull } from '../../async/pull.ts'
import { keyError } from '../key.ts'
import type { DeleteFailure } from '../object-store.ts'
import { isStoreError } from '../store-error.ts'

/** Maximum number of keys in one batch: the limit of S3. */
export const BATCH_KEYS = 1000
/** Single deletes in flight at once, for a service without batches. */
export const SINGLE_DELETES = 16

/**
 * Pulls keys as needed and deletes them in batches, each key once per batch. Yields only the
 * failures; illegal keys are among them and never reach the driver.
 *
 * @throws the signal's reason; an error of `keys`
 */
export async function* deleteInBatches(
  keys: Iterable<string> | AsyncIterable<string>,
  batchKeys: number,
  deleteBatch: (keys: readonly string[]) => Promise<readonly DeleteFailure[]>,
  signal: AbortSignal,
): AsyncGenerator<DeleteFailure> {
  let batch = new Set<string>()
  for await (const key of pull(keys, signal)) {
    const illegal = keyError(key, 'delete')
    if (illegal !== undefined) {
      yield { key, error: illegal }
      continue
    }
    batch.add(key)
    if (batch.size < batchKeys) continue
    yield* await deleteBatch([...batch])
    batch = new Set()
  }
  if (batch.size > 0) yield* await deleteBatch([...batch])
}

/**
 * Deletes one by one, several at a time, and returns the failures.
 *
 * @param deleteOne must honour `signal`
 * @throws the signal's reason; whatever `deleteOne` throws other than a `StoreError`
 */
export async function deleteEach(
  keys: readonly string[],
  deleteOne: (key: string) => Promise<void>,
  signal: AbortSignal,
): Promise<readonly DeleteFailure[]> {
  const failures: DeleteFailure[] = []
  await mapParallel(keys, SINGLE_DELETES, async (key) => {
    signal.throwIfAborted()
    try {
      await deleteOne(key)
    } catch (error) {
      if (!isStoreError(error) || signal.aborted) throw error
      failures.push({ key, error })
    }
  })
  return failures
}
