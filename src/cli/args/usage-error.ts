import { ExitCode, WalsyncError } from '../../core/errors.ts'

/** A wrong command line or configuration: exit code 2. Nothing has been read or written yet. */
export class UsageError extends WalsyncError<'Usage'> {
  override readonly name = 'UsageError'
  /** All that is wrong, one line each, where one sentence does not say it: every error of a file with its line. */
  readonly details: readonly string[]

  constructor(
    message: string,
    hint: string,
    options: { readonly cause?: unknown; readonly details?: readonly string[] } = {},
  ) {
    super('Usage', message, ExitCode.usage, { hint, cause: options.cause })
    this.details = options.details ?? []
  }
}
