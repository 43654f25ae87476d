import type { TXID } from '../ltx/index.ts'

/** `quick`: one listing, names and sizes. `full`: every object is read to its end as well. */
export type VerifyDepth = 'quick' | 'full'

/**
 * What is wrong, as a closed set.
 *
 * An object by its listing: `Empty` (no bytes), `TooSmall` (fewer bytes than any LTX file).
 * An object by its content: `Damaged` (format, page order, index or checksum), `WrongName` (its
 * header has other TXIDs than its name), `Unreadable` (its bytes do not arrive as they were stored),
 * `Archived` (whole as far as can be told, in a tier from which it must be brought back first),
 * `Missing` (listed and not there), `SizeChanged` (not of the listed size).
 * Objects together: `NoBase` (no file starts at TXID 1), `Gap` (TXIDs that no file holds),
 * `EndMissing` (TXIDs behind the end that were stored once), `PageSizeChange`, `MissingPages` and
 * `ChecksumMismatch` (an object that does not fit onto the one before it), `Overlap` (an object inside another of its
 * level), `WrongTime` (objects whose time is not that of their header).
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

/** States of the database one after the other, both ends included. */
export interface StateSpan {
  readonly from: TXID
  readonly to: TXID
  /** When the state of `from` was made: by its header, else as the store lists it. `undefined` if no file ends there. */
  readonly fromTime: Date | undefined
  readonly toTime: Date | undefined
  /** TXIDs in the span that a listed file ends with: only these can be restored exactly. */
  readonly states: number
}

/** One thing that is wrong with a replica. */
export interface Defect {
  readonly code: DefectCode
  /** Object concerned, relative to the replica's prefix; `undefined` for objects that are not there. */
  readonly key: string | undefined
  readonly message: string
  /**
   * States that cannot be restored because of this defect alone. Empty: none, other files make the
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
  /** Files that were read to their end, or to the damage. 0 for `quick`. */
  readonly filesRead: number
  readonly bytesRead: number
  /** Objects in the level folders that are no LTX files. No restore looks at them. */
  readonly foreign: number
  /** TXIDs that a file ends with and no chain reaches, though no file is missing: retention can leave such files. */
  readonly orphans: number
  readonly durationMs: number
  readonly defects: readonly Defect[]
  /** What a restore reaches without the damaged objects. */
  readonly restorable: readonly StateSpan[]
  /** What it does not reach because of all defects together. */
  readonly lost: readonly StateSpan[]
  /** The newest state that any file names. */
  readonly latest: {
    readonly txid: TXID
    readonly time: Date | undefined
    readonly restorable: boolean
  }
  /**
   * The newest state up to which every state is there and every object that makes it was read and
   * found right. `undefined` if that holds for none, and for `quick`, which proves nothing of the kind.
   */
  readonly goodUpTo: { readonly txid: TXID; readonly time: Date | undefined } | undefined
}
