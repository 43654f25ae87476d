import { MAX_LEVEL } from '../../compaction/plan-compaction.ts'

const MAX_RETRY_MS = 10 * 60_000

/** @throws RangeError for levels that are too many or do not ascend */
export function assertLevels(levels: readonly number[]): void {
  const ascending = levels.every((interval, i) => interval > (levels[i - 1] ?? 0))
  if (levels.length <= MAX_LEVEL && ascending) return
  throw new RangeError(`Expected up to ${MAX_LEVEL} ascending intervals, got ${levels}.`)
}

/** The pause after so many failures before this one, in milliseconds. */
export function growing(firstMs: number, tries: number): number {
  return Math.min(MAX_RETRY_MS, firstMs * 2 ** Math.min(tries, 20))
}
