import type { LegacySegment } from './list-legacy.ts'
import type { WalRun } from './wal-run.ts'

/** A run and how much of it a restore replays. */
export interface AppliedRun {
  readonly run: WalRun
  /** Number of frames, the last one a commit; 0 for none. */
  readonly frames: number
  /** Frames behind them that were stored in time as well, and that no commit follows. */
  readonly uncommitted: number
  /** Were more frames of the run stored after the time asked for? */
  readonly goesOn: boolean
}

/** The part of a run that was stored at a time; `undefined`: all of it. */
export function runUntil(run: WalRun, until: Date | undefined): AppliedRun {
  const late = run.spans.find(
    ({ chain }) => until !== undefined && chain.segment.uploadedAt > until,
  )
  const limit = late?.position ?? run.length
  const frames = run.lastCommit(limit)
  return { run, frames, uncommitted: limit - frames, goesOn: late !== undefined }
}

/** The segment that holds the last frame replayed. */
export function lastSegment({ run, frames }: AppliedRun): LegacySegment {
  return run.spanAt(frames - 1).chain.segment
}

/** Database size in pages after the last frame replayed. */
export function sizeAfter({ run, frames }: AppliedRun): number {
  const { chain, from, position } = run.spanAt(frames - 1)
  return chain.commits[from + frames - 1 - position] as number
}
