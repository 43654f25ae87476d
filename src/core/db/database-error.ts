/**
 * `NotADatabase`: the file does not start with SQLite's header string (or is encrypted).
 * `NotWalMode`: a rollback-journal database. `MissingFile`, `Unreadable`, `NotAFile`: the path.
 * `Unsupported`: a page size or WAL version that walsync does not read, or too old an SQLite.
 * `Busy`: another connection holds the database exclusively. `Replaced`: another file stands at the path.
 * `ContinuityLost`: the WAL does not continue from the last position; a new base is needed.
 */
export type DatabaseErrorCode =
  | 'NotADatabase'
  | 'NotWalMode'
  | 'MissingFile'
  | 'Unreadable'
  | 'NotAFile'
  | 'Unsupported'
  | 'Busy'
  | 'Replaced'
  | 'ContinuityLost'
  | 'Damaged'

/** Something is wrong with the source database or its WAL. */
export class DatabaseError extends Error {
  readonly code: DatabaseErrorCode
  readonly path: string
  /** One sentence for the operator: what to do about it. */
  readonly hint: string | undefined

  constructor(
    code: DatabaseErrorCode,
    path: string,
    message: string,
    options: { readonly hint?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DatabaseError'
    this.code = code
    this.path = path
    this.hint = options.hint
  }
}
