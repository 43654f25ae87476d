import type { AppliedRun } from './applied-run.ts'
import type { FrameRange } from './snapshot-contents.ts'
import type { WalHistory } from './wal-history.ts'
import type { WalRun } from './wal-run.ts'

/** All frames that were stored, also those that belong nowhere. */
export function* allFrames({ places, loose }: WalHistory): Generator<FrameRange, void, void> {
  for (const chain of [...places.keys(), ...loose]) yield { chain, from: 0, length: chain.length }
}

/**
 * Frames that are no newer than the end of a replay: those of earlier runs, those it replays, and
 * those that belong nowhere and were stored before its last run began to be. A log's first
 * frame is only there to be read while that log is the newest, so they are of an earlier one.
 */
export function* framesUpTo(
  history: WalHistory,
  last: AppliedRun,
): Generator<FrameRange, void, void> {
  yield* framesOfRuns(history, last.run)
  for (const { chain, from, length, position } of last.run.spans) {
    yield { chain, from, length: Math.max(0, Math.min(length, last.frames - position)) }
  }
}

/** Frames that are no newer than the run itself, however far that was stored. */
export function* framesThrough(
  history: WalHistory,
  run: WalRun,
): Generator<FrameRange, void, void> {
  yield* framesOfRuns(history, run)
  yield* run.spans
}

/** Of earlier runs, and those that belong nowhere and were stored before the run. */
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
