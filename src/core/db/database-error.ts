import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../errors.ts'

/**
 * `NotADatabase`: the file does not start with SQLite's header string (or is encrypted).
 * `NotWalMode`: a rollback-journal database. `MissingFile`, `Unreadable`, `NotAFile`: the path.
 * `Unsupported`: a page size or WAL version that walsync does not read, or too old an SQLite.
 * `Busy`: another connection holds the database exclusively. `Replaced`: another file is at the
 * path. `Stopped`: replication ended before the requested state was in the store. `ContinuityLost`:
 * the WAL does not continue from the last position; a new base is needed.
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
  | 'Stopped'

/** A problem with the source database or its WAL. */
export class DatabaseError extends WalsyncError<DatabaseErrorCode> {
  override readonly name = 'DatabaseError'
  readonly path: string

  constructor(
    code: DatabaseErrorCode,
    path: string,
    message: string,
    options: WalsyncErrorOptions = {},
  ) {
    super(code, message, ExitCode.database, options)
    this.path = path
  }
}

/** The frames of a WAL are not those that its index describes. */
export function damagedWal(path: string, reason: string): DatabaseError {
  const message = `The WAL of ${path} does not verify: ${reason}.`
  const hint =
    'Stop every application that has the database open, start one again, and run PRAGMA integrity_check.'
  return new DatabaseError('Damaged', path, message, { hint })
}

/** The WAL does not continue from the last captured position. */
export function continuityLost(path: string, reason: string): DatabaseError {
  return new DatabaseError('ContinuityLost', path, `Continuity of ${path} is lost: ${reason}.`)
}
