import type { LegacySegment, LegacySnapshot } from './list-legacy.ts'
import { firstUpload, type WalHistory } from './wal-history.ts'
import type { WalRun } from './wal-run.ts'

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
  const run = runs.findLastIndex((one) => firstUpload(one) < begin)
  const before = segments.findLast(({ uploadedAt }) => uploadedAt.getTime() < begin)
  if (before === undefined) return runs.length === 0 ? undefined : { run: 0, certain: false }
  const known = chains.get(before)?.some((chain) => places.get(chain)?.run === runs[run])
  return known === true ? { run, certain: true } : undefined
}

/**
 * Is it certain that the run was still being written after the snapshot's upload had ended? Then
 * the snapshot has nothing of any later run.
 *
 * A frame that was uploaded later is not enough: after a restart in place the old run's frames stay
 * readable behind the new ones. Certain are frames that were not there yet at a read after the
 * upload: of three segments in a row, the first one's upload ended after the snapshot's, so the second was read after
 * it, and the third has what was not there then.
 */
export function isOutlived(run: WalRun, snapshot: LegacySnapshot): boolean {
  const end = snapshot.storedAt
  const segments: LegacySegment[] = []
  for (const { chain } of run.spans) {
    if (chain.segment !== segments.at(-1)) segments.push(chain.segment)
  }
  // By both clocks: the store's own, and the writer's, because the copy of a bucket has new times of the store.
  const first = segments.findIndex(({ uploadedAt, storedAt }) => uploadedAt > end && storedAt > end)
  const [a, b, c] = first < 0 ? [] : segments.slice(first, first + 3)
  return !!a && !!b && !!c && a.uploadedAt < b.uploadedAt && b.uploadedAt < c.uploadedAt
}
