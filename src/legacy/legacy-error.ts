/**
 * `UnreadableFormat`: a replica of a program whose files walsync does not read. `NoTxids`: a TXID was
 * asked of a replica that has none. `NothingToRestore`: neither a snapshot nor a WAL that is whole.
 * `TargetNotReachable`: nothing was stored before the time asked for.
 */
export type LegacyErrorCode =
  | 'UnreadableFormat'
  | 'NoTxids'
  | 'NothingToRestore'
  | 'TargetNotReachable'

/** A replica of another program, or of walsync 0.1, cannot give what was asked for. Nothing was written. */
export class LegacyError extends Error {
  readonly code: LegacyErrorCode
  /** One sentence for the operator: what to do about it. */
  readonly hint: string

  constructor(code: LegacyErrorCode, message: string, hint: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'LegacyError'
    this.code = code
    this.hint = hint
  }
}
