/**
 * What the main file and the WAL index said at one moment. The index is read before the file's
 * times: a checkpoint writes pages first and the number of copied frames last.
 */
export interface MainFileLook {
  /** Size in bytes and time of the last change in nanoseconds. */
  readonly size: number
  readonly mtimeNs: bigint
  /** The run of the log: its salts; empty without a WAL header. */
  readonly run: string
  /** Frames copied into the main file (nBackfill). */
  readonly backfilled: number
  /** Upper bound of the held read mark, in frames: no checkpoint copies beyond it. */
  readonly mark: number
}

/**
 * Can a checkpoint of this log explain how the main file changed between two looks? Nothing else
 * writes to the main file of a WAL database. While everything up to the held mark has been copied,
 * nobody may copy anything, so a file that changes then was written by somebody who does not follow
 * the log: a copy put over it, or an application whose log lies elsewhere.
 */
export function isExplained(before: MainFileLook, now: MainFileLook): boolean {
  if (before.size === now.size && before.mtimeNs === now.mtimeNs) return true
  if (before.run !== now.run || before.backfilled !== now.backfilled) return true
  return before.backfilled < before.mark || now.backfilled < now.mark
}
