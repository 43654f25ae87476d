import type { AppliedRun } from './applied-run.ts'
import { allFrames, framesThrough, framesUpTo } from './known-frames.ts'
import { type LegacyEvidence, neighbourOf } from './legacy-evidence.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import { isOutlived } from './outlived.ts'
import { type FrameRange, KnownPages, type SnapshotContents } from './snapshot-contents.ts'

/**
 * Pages of a snapshot that are known to be no newer than the last frame replayed. If all are, the
 * snapshot has nothing of any commit behind it.
 */
export function knownUpTo(
  evidence: LegacyEvidence,
  snapshot: LegacySnapshot,
  last: AppliedRun,
): Promise<KnownPages> {
  const isBefore = (other: LegacySnapshot): boolean => isOutlived(last, other)
  return known(evidence, snapshot, last, isBefore, framesUpTo(evidence.history, last))
}

/** Pages of a snapshot that are known to be no newer than the run of the last frame replayed. */
export function knownThrough(
  evidence: LegacyEvidence,
  snapshot: LegacySnapshot,
  last: AppliedRun,
): Promise<KnownPages> {
  const isBefore = (other: LegacySnapshot): boolean => isOutlivedByAny(evidence, other, last)
  return known(evidence, snapshot, last, isBefore, framesThrough(evidence.history, last.run))
}

/**
 * Pages of a snapshot that are found a second time anywhere. A snapshot has no checksum, so damage
 * would not show in the others.
 */
export async function vouchedPages(
  evidence: LegacyEvidence,
  snapshot: LegacySnapshot,
  pageSize: number,
): Promise<KnownPages> {
  const other = neighbourOf(evidence, snapshot, -1) ?? neighbourOf(evidence, snapshot, 1)
  const contents = await evidence.contentsOf(snapshot, pageSize)
  const others = other && (await evidence.contentsOf(other, pageSize))
  return new KnownPages(contents, others, allFrames(evidence.history))
}

/** Was a run that is no later than that of the last frame replayed still written after the snapshot? */
export function isOutlivedByAny(
  { history: { runs } }: LegacyEvidence,
  snapshot: LegacySnapshot,
  last: AppliedRun,
): boolean {
  const all = runs.slice(0, runs.indexOf(last.run) + 1)
  return all.some((run) => isOutlived({ run, frames: run.length }, snapshot))
}

async function known(
  evidence: LegacyEvidence,
  snapshot: LegacySnapshot,
  { run }: AppliedRun,
  isBefore: (other: LegacySnapshot) => boolean,
  ranges: Iterable<FrameRange>,
): Promise<KnownPages> {
  const { pageSize } = run.header
  const { snapshots } = evidence.replica
  // Not just the one before: that may be from after the log's end as well.
  const other = snapshots.slice(0, snapshots.indexOf(snapshot)).findLast(isBefore)
  const contents = await evidence.contentsOf(snapshot, pageSize)
  let others: SnapshotContents | undefined
  if (other !== undefined) others = await evidence.contentsOf(other, pageSize)
  return new KnownPages(contents, others, ranges)
}
