import { ExitCode, WalsyncError } from '../errors.ts'

/** `UnsupportedVersion`: a valid WAL header of a format version other than 3007000. */
export type WalErrorCode = 'UnsupportedVersion'

/** The WAL is intact, and of a kind that walsync does not read. Damage is never an error here: it ends the log. */
export class WalError extends WalsyncError<WalErrorCode> {
  override readonly name = 'WalError'

  constructor(code: WalErrorCode, message: string) {
    super(code, message, ExitCode.database)
  }
}
