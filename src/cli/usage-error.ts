/** A wrong command line or configuration: exit code 2. Nothing has been read or written yet. */
export class UsageError extends Error {
  readonly code = 'Usage'
  /** What to type instead. */
  readonly hint: string

  constructor(message: string, hint: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'UsageError'
    this.hint = hint
  }
}
