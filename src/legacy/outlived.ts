import type { AppliedRun } from './applied-run.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { RunSpan } from './wal-run.ts'

/**
 * Is it certain that the run was still being written after the snapshot's upload had ended, and that
 * the frames replayed have all that had been written until then? Then the snapshot has nothing that
 * the replay has not.
 *
 * A frame that was uploaded later is not enough: after a restart in place the old run's frames stay
 * readable behind the new ones. Certain are frames that were not there yet at a read after the
 * upload. Of three segments in a row, the first one's upload ended after the snapshot's, so the
 * second was read after it, and the third has what was not there then.
 */
export function isOutlived(
  { run, frames }: Pick<AppliedRun, 'run' | 'frames'>,
  snapshot: LegacySnapshot,
): boolean {
  const end = snapshot.storedAt
  const newest = run.spans.at(-1)?.chain.segment.uploadedAt
  // Most snapshots are ruled out by this, and there may be thousands.
  if (newest === undefined || newest <= end) return false
  const spans = onePerSegment(run.spans)
  // By both clocks: the store's own, and the writer's, because the copy of a bucket has new times of the store.
  const first = spans.findIndex(
    ({ chain: { segment } }) => segment.uploadedAt > end && segment.storedAt > end,
  )
  const [a, b, c] = first < 0 ? [] : spans.slice(first, first + 3)
  if (a === undefined || b === undefined || c === undefined) return false
  return isBefore(a, b) && isBefore(b, c) && c.position <= frames
}

/** The first span of each segment. */
function onePerSegment(spans: readonly RunSpan[]): RunSpan[] {
  return spans.filter(({ chain }, i) => chain.segment !== spans[i - 1]?.chain.segment)
}

function isBefore(a: RunSpan, b: RunSpan): boolean {
  return a.chain.segment.uploadedAt < b.chain.segment.uploadedAt
}
