import type { WalHeader, WalPosition } from '../wal/index.ts'

/** A place in the history of a database: a run of the WAL (none yet: `undefined`), a position in it, and the database size there in pages. */
export interface CapturePosition {
  readonly run: WalHeader | undefined
  readonly wal: WalPosition
  readonly commit: number
}

/** Whole transactions behind a position, not yet read into memory: `pages` says which WAL frame holds each changed page's newest content. */
export interface WalChange {
  readonly run: WalHeader
  readonly from: WalPosition
  readonly to: WalPosition
  /** Database size in pages at `to`. */
  readonly commit: number
  /** Smallest database size in the range: pages above it must all be present up to `commit`. */
  readonly smallestCommit: number
  readonly pages: ReadonlyMap<number, number>
}

/** The whole database at one position: its pages stand in the WAL where `pages` says so, else in the file. */
export interface DatabaseView extends CapturePosition {
  /** Newest frame index of each page that must be read from the WAL; `undefined` if none must. */
  readonly pages: ReadonlyMap<number, number> | undefined
}

/** Where a capture is before it has found its place. */
export const NOWHERE: CapturePosition = {
  run: undefined,
  wal: { frame: 0, checksum1: 0, checksum2: 0 },
  commit: 0,
}
