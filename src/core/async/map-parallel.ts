/**
 * Maps with at most `limit` calls at a time; results in the order of the items. After a failure no
 * new call starts, and the first error is thrown once the running calls have ended.
 */
export async function mapParallel<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  let failed = false
  const worker = async (): Promise<void> => {
    while (next < items.length && !failed) {
      const index = next++
      try {
        results[index] = await map(items[index] as T, index)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const workers = Array.from({ length: Math.min(limit, items.length) }, worker)
  const ended = await Promise.allSettled(workers)
  const rejected = ended.find((end) => end.status === 'rejected')
  if (rejected !== undefined) throw rejected.reason
  return results
}
