import { ExitCode, WalsyncError } from '../errors.ts'

/**
 * What went wrong, as a closed set. Callers branch on `code`, never on the message.
 *
 * Damage in the bytes read: `Truncated` (ends too early), `BadMagic` (not an LTX file),
 * `InvalidHeader`, `InvalidPage` (a page frame that breaks the format), `OutOfOrder` (page numbers
 * do not ascend), `MissingPage` (a page that must be there is not), `InvalidIndex` (the page index
 * disagrees with the frames), `InvalidTrailer`, `ChecksumMismatch`, `TrailingBytes`.
 * Files that do not belong together: `NotContiguous`, `PageSizeMismatch`.
 * Misuse: `InvalidTxid`, `InvalidArgument`, `Unencodable` (LTX has no form for it), `Closed`.
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
  | 'PageSizeMismatch'
  | 'InvalidTxid'
  | 'InvalidArgument'
  | 'Unencodable'
  | 'Closed'

const DAMAGED = 'The file is damaged: fetch it again, or restore without it from an older snapshot.'
const MISUSE = 'This is a defect of the calling code: please report it with this message.'
const HINTS: Readonly<Record<LtxErrorCode, string>> = {
  Truncated:
    'The file is incomplete: fetch it again, or restore without it from an older snapshot.',
  BadMagic: 'The object is not an LTX file: check what else writes below this replica path.',
  InvalidHeader: DAMAGED,
  InvalidPage: DAMAGED,
  OutOfOrder: DAMAGED,
  MissingPage:
    'The files do not contain the whole database: restore to an older point, and write a new snapshot.',
  InvalidIndex: DAMAGED,
  InvalidTrailer: DAMAGED,
  ChecksumMismatch: DAMAGED,
  TrailingBytes: DAMAGED,
  NotContiguous: 'A file between the two is missing: list the replica, and write a new snapshot.',
  PageSizeMismatch:
    'The page size of the database changed: files from before and after cannot be combined; write a new snapshot.',
  InvalidTxid: 'A TXID is 16 lower-case hexadecimal digits and at least 0000000000000001.',
  InvalidArgument: MISUSE,
  Unencodable: MISUSE,
  Closed: MISUSE,
}

/** The only error that the LTX codec throws, apart from an aborted signal's own reason and an input's own error. */
export class LtxError extends WalsyncError<LtxErrorCode> {
  override readonly name = 'LtxError'

  /** @param message Complete sentence that names the page, TXID or byte offset concerned. */
  constructor(code: LtxErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, ExitCode.integrity, { hint: HINTS[code], cause: options?.cause })
  }
}
