import type { TXID } from '../ltx/index.ts'

/** `quick`: one listing, names and sizes, and headers for times that the store does not list. `full`: every object is read as well. */
export type VerifyDepth = 'quick' | 'full'

/**
 * Kinds of defects, as a closed set.
 *
 * An object by its listing: `Empty` (no bytes), `TooSmall` (fewer bytes than any LTX file). An
 * object by its content: `Damaged` (format, page order, index or checksum), `WrongName` (its header
 * has other TXIDs than its name), `Unreadable` (its bytes arrive damaged), `Archived` (in an
 * archive tier, from which it must be restored before it can be read), `Missing` (listed and gone),
 * `SizeChanged` (its size differs from the listed one). Objects together: `NoBase` (no file starts
 * at TXID 1), `Gap` (TXIDs that no file holds), `EndMissing` (TXIDs after the end that are known to
 * have been stored), `PageSizeChange`, `MissingPages` and `ChecksumMismatch` (an object that does
 * not fit onto the one before it), `Overlap` (an object inside another one of its level that two writers made),
 * `WrongTime` (objects whose time differs from that of their header).
 */
export type DefectCode =
  | 'Empty'
  | 'TooSmall'
  | 'Damaged'
  | 'WrongName'
  | 'Unreadable'
  | 'Archived'
  | 'Missing'
  | 'SizeChanged'
  | 'NoBase'
  | 'Gap'
  | 'EndMissing'
  | 'PageSizeChange'
  | 'MissingPages'
  | 'ChecksumMismatch'
  | 'Overlap'
  | 'WrongTime'

/** Consecutive states of the database, both ends included. */
export interface StateSpan {
  readonly from: TXID
  readonly to: TXID
  /** Time of the state `from`, as `list` and `restore` show it; `undefined` if no file ends there. */
  readonly fromTime: Date | undefined
  readonly toTime: Date | undefined
  /** TXIDs in the span that a listed file ends with: only these can be restored exactly. */
  readonly states: number
}

/** One defect of a replica. */
export interface Defect {
  readonly code: DefectCode
  /** Object concerned, relative to the replica's prefix; `undefined` for missing objects. */
  readonly key: string | undefined
  readonly message: string
  /**
   * States that cannot be restored because of this defect alone; empty if other files make up the
   * same states. Two defects may cost more together than each alone: see `VerifyReport.lost`.
   */
  readonly cost: readonly StateSpan[]
}

export interface VerifyReport {
  readonly depth: VerifyDepth
  /** `good`: no defect. `degraded`: defects that cost nothing. `damaged`: states are lost. */
  readonly verdict: 'good' | 'degraded' | 'damaged'
  /** LTX files of the replica. */
  readonly files: number
  /** Sum of their sizes, in bytes. */
  readonly bytes: number
  /** Files that were read to their end, or up to the damage. 0 for `quick`. */
  readonly filesRead: number
  readonly bytesRead: number
  /** Objects in the level folders that are not LTX files; restores ignore them. */
  readonly foreign: number
  /** Objects of level 1 and above whose TXIDs another object of their level has as well: two compactions made them. */
  readonly redundant: number
  /**
   * TXIDs that a file ends with but no chain reaches, although no file is missing. Normal after
   * pruning.
   */
  readonly orphans: number
  readonly durationMs: number
  readonly defects: readonly Defect[]
  /** States that can be restored without the damaged objects. */
  readonly restorable: readonly StateSpan[]
  /** States that cannot be restored because of all defects together. */
  readonly lost: readonly StateSpan[]
  /** The newest state that any file names. */
  readonly latest: {
    readonly txid: TXID
    readonly time: Date | undefined
    readonly restorable: boolean
  }
  /**
   * The newest state such that it and all states before it can be restored from objects that were
   * read and found intact. `undefined` if there is none, and for `quick`, which cannot prove it.
   */
  readonly goodUpTo: { readonly txid: TXID; readonly time: Date | undefined } | undefined
}
