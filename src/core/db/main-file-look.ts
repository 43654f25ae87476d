import { WAL_FRAME_HEADER_SIZE, type WalHeader, walFrameOffset } from '../wal/index.ts'
import type { WalFile } from './wal-file.ts'

/**
 * What the main file and the WAL index said at one moment. The index is read before the file's
 * times: a checkpoint writes pages first and the number of copied frames last.
 */
export interface MainFileLook {
  /** Size in bytes and time of the last change in nanoseconds. */
  readonly size: number
  readonly mtimeNs: bigint
  /** The run of the log, as `runName` gives it; empty without a WAL header. */
  readonly run: string
  /** The run before that one; `undefined` if it is not known. */
  readonly earlier: EndedRun | undefined
  /** Frames copied into the main file (nBackfill). */
  readonly backfilled: number
  /** Upper bound of the held read mark, in frames: no checkpoint copies beyond it. */
  readonly mark: number
}

/** A run of the log that another one has followed. All of it had been copied before. */
export interface EndedRun {
  readonly name: string
  /** Number of its frames. */
  readonly frames: number
}

/** Distinguishes the runs of a log; empty for none. */
export function runName(run: WalHeader | undefined): string {
  return run === undefined ? '' : `${run.salt1}:${run.salt2}:${run.sequence}`
}

/**
 * Does a checkpoint of this log explain how the main file changed between two observations? Nothing
 * else writes to the main file of a WAL database. `never`: everything up to the held mark had been
 * copied already, so no checkpoint could copy anything, and the file was written by something that
 * does not use the log: a copy was put over it, or an application keeps its log elsewhere.
 * `perhaps`: a checkpoint may be running that has not counted its frames yet, or it was killed.
 */
export function explain(before: MainFileLook, now: MainFileLook): 'yes' | 'perhaps' | 'never' {
  if (before.size === now.size && before.mtimeNs === now.mtimeNs) return 'yes'
  const isRestarted = before.run !== now.run
  if (isRestarted && (hadMoreToCopy(before, now.earlier) || now.backfilled > 0)) return 'yes'
  if (!isRestarted && before.backfilled !== now.backfilled) return 'yes'
  const couldCopy = !isRestarted && before.backfilled < before.mark
  const mayCopy = couldCopy || now.backfilled < now.mark
  return mayCopy && now.size > 0 ? 'perhaps' : 'never'
}

/** May frames have been copied between the first look and the end of the run before the present one? */
function hadMoreToCopy({ run, backfilled, earlier }: MainFileLook, ended?: EndedRun): boolean {
  if (ended?.name === run) return ended.frames > backfilled
  // Otherwise the log was restarted more than once, unless it had already been emptied.
  return run !== '' || earlier === undefined || earlier.name !== ended?.name
}

/** Is `page` a version of page 1 from the first `frames` frames of the log? */
export function isPageOneOf(wal: WalFile, page: Uint8Array, frames: number): boolean {
  const header = new Uint8Array(WAL_FRAME_HEADER_SIZE)
  const version = new Uint8Array(page.length)
  const view = new DataView(header.buffer)
  for (let frame = frames - 1; frame >= 0; frame--) {
    const offset = walFrameOffset(frame, page.length)
    if (wal.read(header, offset) < header.length) return false
    if (view.getUint32(0) !== 1) continue
    wal.read(version, offset + header.length)
    if (Buffer.compare(page, version) === 0) return true
  }
  return false
}
