import type { LegacySnapshot } from './list-legacy.ts'
import { firstUpload, type WalHistory } from './wal-history.ts'

/** The run that a replay onto a snapshot has to begin with. */
export interface Anchor {
  /** Index of the run in the history. */
  readonly run: number
  /**
   * Had that run begun when the snapshot's upload began? Then the snapshot has all that came before
   * the run, since SQLite restarts a log only when all of it is in the database file.
   */
  readonly certain: boolean
}

/**
 * Where in the log a snapshot belongs: in the last run of which frames were uploaded before it, for
 * what that run had at the time may not have been in the database file yet. If nothing was
 * uploaded before it, in the first run, as a guess. `undefined` if what was uploaded last before it belongs to no run.
 */
export function anchorOf(
  { runs, segments, chains, places }: WalHistory,
  snapshot: LegacySnapshot,
): Anchor | undefined {
  const begin = snapshot.takenAt.getTime()
  const run = lastBefore(runs, firstUpload, begin)
  const before = segments[lastBefore(segments, ({ uploadedAt }) => uploadedAt.getTime(), begin)]
  if (before === undefined) return runs.length === 0 ? undefined : { run: 0, certain: false }
  const known = chains.get(before)?.some((chain) => places.get(chain)?.run === runs[run])
  return known === true ? { run, certain: true } : undefined
}

/** Index of the last item with an earlier time; -1 for none. Items ascend. */
function lastBefore<T>(items: readonly T[], timeOf: (item: T) => number, time: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (timeOf(items[middle] as T) < time) low = middle + 1
    else high = middle
  }
  return low - 1
}
