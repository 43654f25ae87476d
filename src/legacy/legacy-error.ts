import { ExitCode, WalsyncError } from '../core/errors.ts'

/**
 * `UnreadableFormat`: a replica of a program whose files walsync does not read. `NoTxids`: a TXID was
 * asked of a replica that has none. `NothingToRestore`: neither a snapshot nor a WAL that is whole.
 * `TargetNotReachable`: nothing was stored before the time asked for. `NotComplete`: the best state is
 * not shown to be complete, and only a complete one was asked for.
 */
export type LegacyErrorCode =
  | 'UnreadableFormat'
  | 'NoTxids'
  | 'NothingToRestore'
  | 'TargetNotReachable'
  | 'NotComplete'

/** A replica of another program, or of walsync 0.1, cannot give what was asked for. Nothing was written. */
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
