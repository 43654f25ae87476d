import { pull } from '../../async/pull.ts'
import type { DeleteFailure, ObjectStore } from '../object-store.ts'
import { isStoreError, type StoreError } from '../store-error.ts'
import { Attempt } from './attempt.ts'
import { RetryBudget, type RetryPolicy } from './retry-policy.ts'

/** Keys kept for a repetition: the largest batch of any provider (S3). */
const BATCH = 1000

/** Deletes in batches and repeats those keys of a batch that may succeed later. A delete is idempotent, so nothing is read back. */
export async function* retryDeletes(
  inner: ObjectStore,
  keys: Iterable<string> | AsyncIterable<string>,
  policy: RetryPolicy,
  signal: AbortSignal,
): AsyncGenerator<DeleteFailure> {
  let batch: string[] = []
  for await (const key of pull(keys, signal)) {
    batch.push(key)
    if (batch.length < BATCH) continue
    yield* await deleteBatch(inner, batch, policy, signal)
    batch = []
  }
  if (batch.length > 0) yield* await deleteBatch(inner, batch, policy, signal)
}

async function deleteBatch(
  inner: ObjectStore,
  batch: readonly string[],
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<readonly DeleteFailure[]> {
  const budget = new RetryBudget(policy)
  const final: DeleteFailure[] = []
  let left = batch
  while (left.length > 0) {
    const again = await tryBatch(inner, left, policy, signal)
    final.push(...again.filter(({ error }) => !error.retryable))
    const retryable = again.filter(({ error }) => error.retryable)
    if (retryable.length === 0) break
    try {
      await budget.pause(slowest(retryable), signal)
    } catch (error) {
      signal.throwIfAborted()
      if (!isStoreError(error)) throw error
      final.push(...retryable)
      break
    }
    left = retryable.map(({ key }) => key)
  }
  return final
}

/**
 * An error of the whole batch is reported for each of its keys, because it is unknown which of them
 * are gone.
 */
async function tryBatch(
  inner: ObjectStore,
  keys: readonly string[],
  policy: RetryPolicy,
  signal: AbortSignal,
): Promise<readonly DeleteFailure[]> {
  const attempt = new Attempt(signal, policy.attemptTimeoutMs, 'delete')
  try {
    return await attempt.wait(async () => {
      const failures: DeleteFailure[] = []
      const watched = attempt.watchItems(keys)
      for await (const failure of inner.deleteMany(watched, { signal: attempt.signal })) {
        failures.push(failure)
      }
      return failures
    })
  } catch (error) {
    signal.throwIfAborted()
    if (!isStoreError(error) || !error.retryable) throw error
    return keys.map((key) => ({ key, error }))
  } finally {
    attempt.end()
  }
}

function slowest(failures: readonly DeleteFailure[]): StoreError {
  const waits = failures.map(({ error }) => error.retryAfterMs ?? 0)
  return failures[waits.indexOf(Math.max(...waits))]!.error
}
