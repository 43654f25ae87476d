import { ExitCode, WalsyncError } from '../errors.ts'

/**
 * What went wrong, as a closed set. Callers branch on `code`, never on the message.
 *
 * Damage in the bytes read: `Truncated` (ends too early), `BadMagic` (not an LTX file),
 * `InvalidHeader`, `InvalidPage` (a page frame that breaks the format), `OutOfOrder` (page numbers
 * do not ascend), `MissingPage` (a page that must be there is not), `InvalidIndex` (the page index
 * disagrees with the frames), `InvalidTrailer`, `ChecksumMismatch`, `TrailingBytes`. Files that do
 * not belong together: `NotContiguous`, `PageSizeMismatch`. Misuse: `InvalidTxid`,
 * `InvalidArgument`, `Unencodable` (cannot be represented in LTX), `Closed`.
 */
export type LtxErrorCode =
  | 'Truncated'
  | 'BadMagic'
  | 'InvalidHeader'
  | 'InvalidPage'
  | 'OutOfOrder'
  | 'MissingPage'
  | 'InvalidIndex'
  | 'InvalidTrailer'
  | 'ChecksumMismatch'
  | 'TrailingBytes'
  | 'NotContiguous'
  | 'MixedHistories'
  | 'PageSizeMismatch'
  | 'InvalidTxid'
  | 'InvalidArgument'
  | 'Unencodable'
  | 'Closed'

const DAMAGED = 'The file is damaged. Fetch it again, or restore without it from an older snapshot.'
const MISUSE = 'This is a bug in the calling code. Please report it with this message.'
const HINTS: Readonly<Record<LtxErrorCode, string>> = {
  Truncated:
    'The file is incomplete. Fetch it again, or restore without it from an older snapshot.',
  BadMagic: 'The object is not an LTX file. Check what else writes below the path of this replica.',
  InvalidHeader: DAMAGED,
  InvalidPage: DAMAGED,
  OutOfOrder: DAMAGED,
  MissingPage:
    'The files do not contain the whole database. Restore to an older point, and write a new snapshot.',
  InvalidIndex: DAMAGED,
  InvalidTrailer: DAMAGED,
  ChecksumMismatch: DAMAGED,
  TrailingBytes: DAMAGED,
  NotContiguous: 'A file between the two is missing. List the replica, and write a new snapshot.',
  MixedHistories:
    'One of the files belongs to another history, or was replaced: run "walsync verify", and write a new snapshot.',
  PageSizeMismatch:
    'The page size of the database changed. Files from before and after cannot be combined. Write a new snapshot.',
  InvalidTxid: 'A TXID is 16 lower-case hexadecimal digits and at least 0000000000000001.',
  InvalidArgument: MISUSE,
  Unencodable: MISUSE,
  Closed: MISUSE,
}

/**
 * The only error that the LTX codec throws, apart from the reason of an aborted signal and errors
 * of an input.
 */
export class LtxError extends WalsyncError<LtxErrorCode> {
  override readonly name = 'LtxError'

  /** @param message A complete sentence that names the page, TXID or byte offset concerned. */
  constructor(code: LtxErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, ExitCode.integrity, { hint: HINTS[code], cause: options?.cause })
  }
}
