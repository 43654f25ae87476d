/** A wrong command line or configuration: exit code 2. Nothing has been read or written yet. */
export class UsageError extends Error {
  readonly code = 'Usage'
  /** What to type instead. */
  readonly hint: string
  /** All that is wrong, one line each, where one sentence does not say it: every error of a file with its line. */
  readonly details: readonly string[]

  constructor(
    message: string,
    hint: string,
    options: { readonly cause?: unknown; readonly details?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'UsageError'
    this.hint = hint
    this.details = options.details ?? []
  }
}
