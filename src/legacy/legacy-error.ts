import { ExitCode, WalsyncError } from '../core/errors.ts'

/**
 * `UnreadableFormat`: a replica of a program whose files walsync does not read. `NoTxids`: a TXID
 * was requested from a replica that has none. `NothingToRestore`: neither a snapshot nor a complete
 * WAL. `TargetNotReachable`: nothing was stored before the requested time. `NotComplete`: the best
 * state cannot be proven complete, and only a complete one was requested.
 */
export type LegacyErrorCode =
  | 'UnreadableFormat'
  | 'NoTxids'
  | 'NothingToRestore'
  | 'TargetNotReachable'
  | 'NotComplete'

/**
 * A replica of another program or of walsync 0.1 does not have the requested state. Nothing was
 * written.
 */
export class LegacyError extends WalsyncError<LegacyErrorCode> {
  override readonly name = 'LegacyError'

  constructor(code: LegacyErrorCode, message: string, hint: string, options?: { cause?: unknown }) {
    super(code, message, exitCodeOf(code), { hint, cause: options?.cause })
  }
}

function exitCodeOf(code: LegacyErrorCode): ExitCode {
  if (code === 'NoTxids') return ExitCode.usage
  return code === 'NotComplete' ? ExitCode.integrity : ExitCode.unreachable
}
