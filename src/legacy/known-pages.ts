import { type LegacyEvidence, neighbourOf } from './legacy-evidence.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import { type FrameRange, KnownPages, type SnapshotContents } from './snapshot-contents.ts'
import type { WalHistory } from './wal-history.ts'
import type { AppliedRun, RunSpan, WalRun } from './wal-run.ts'

/**
 * Pages of a snapshot that are known to be no newer than the last frame replayed. If that is all of
 * them, the snapshot has nothing from any later commit.
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
 * Pages of a snapshot that are found a second time anywhere in the replica. A snapshot has no
 * checksum, so damage to its other pages would go unnoticed.
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

/**
 * Was the run of the last frame replayed, or an earlier one, still being written after the
 * snapshot?
 */
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
  // Comparing with the previous snapshot is not enough: it may also be newer than the end of the log.
  const other = snapshots.slice(0, snapshots.indexOf(snapshot)).findLast(isBefore)
  const contents = await evidence.contentsOf(snapshot, pageSize)
  let others: SnapshotContents | undefined
  if (other !== undefined) others = await evidence.contentsOf(other, pageSize)
  return new KnownPages(contents, others, ranges)
}

/** All frames that were stored, including those that could not be placed. */
export function* allFrames({ places, loose }: WalHistory): Generator<FrameRange, void, void> {
  for (const chain of [...places.keys(), ...loose]) yield { chain, from: 0, length: chain.length }
}

/**
 * Frames that are no newer than the end of a replay: those of earlier runs, those that it replays,
 * and unplaced ones that were stored before its last run began. The first frame of a log can only
 * be read while that log is the newest, so these belong to an earlier one.
 */
function* framesUpTo(history: WalHistory, last: AppliedRun): Generator<FrameRange, void, void> {
  yield* framesOfRuns(history, last.run)
  for (const { chain, from, length, position } of last.run.spans) {
    yield { chain, from, length: Math.max(0, Math.min(length, last.frames - position)) }
  }
}

/** Frames that are no newer than the run itself, however much of it was stored. */
function* framesThrough(history: WalHistory, run: WalRun): Generator<FrameRange, void, void> {
  yield* framesOfRuns(history, run)
  yield* run.spans
}

/** Frames of earlier runs, and unplaced frames that were stored before the run. */
function* framesOfRuns(
  { runs, loose, segments }: WalHistory,
  run: WalRun,
): Generator<FrameRange, void, void> {
  for (const earlier of runs.slice(0, runs.indexOf(run))) yield* earlier.spans
  const begin = segments.indexOf(run.spanAt(0).chain.segment)
  const before = new Set(segments.slice(0, begin))
  for (const chain of loose) {
    if (before.has(chain.segment)) yield { chain, from: 0, length: chain.length }
  }
}

/**
 * Is it certain that the run was still being written after the snapshot's upload had ended, and
 * that the frames replayed include everything written until then? Then the snapshot has nothing
 * that the replay lacks.
 *
 * A frame that was uploaded later is not enough: after a restart in place, frames of the old run
 * remain readable behind the new ones. Proof are frames that did not exist yet at a read after the
 * upload. Of three consecutive segments, the upload of the first ended after that of the snapshot,
 * so the second was read after it, and the third has what did not exist then.
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
  // By both clocks, the store's and the writer's, because a copy of a bucket gets new times from the store.
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
