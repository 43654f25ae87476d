import { ExitCode, WalsyncError } from '../core/errors.ts'

/**
 * What kind of failure it is, and whose:
 *
 * - `Usage`: an argument or setting is wrong; nothing has been done.
 * - `Database`: the database cannot be read.
 * - `Store`: the store fails or refuses.
 * - `Integrity`: the replica is damaged.
 * - `Unreachable`: the requested state cannot be restored.
 * - `Fenced`: another writer has taken over the replica, and this one has ended for good.
 * - `Standby`: another process replicates the same file, and this one waits for its end.
 * - `Timeout`: not in the store within the time that was given, and nothing is wrong.
 * - `Stopped`: `stop` was called, or not everything could be uploaded before the end.
 * - `Ended`: the walsync process ended unasked; it is started again.
 * - `Failed`: anything else.
 */
export type ReplicationErrorCode =
  | 'Usage'
  | 'Database'
  | 'Store'
  | 'Integrity'
  | 'Unreachable'
  | 'Fenced'
  | 'Standby'
  | 'Timeout'
  | 'Stopped'
  | 'Ended'
  | 'Failed'

export interface ReplicationErrorOptions {
  /** One sentence: what to do about it. */
  readonly hint?: string | undefined
  readonly cause?: unknown
  /** The code of the error in the walsync process, `AccessDenied` for instance: see docs/reference/errors.md. */
  readonly reason?: string | undefined
}

/** A failure of the walsync process that `replicate` or `restoreIfMissing` runs. */
export class ReplicationError extends WalsyncError<ReplicationErrorCode> {
  override readonly name = 'ReplicationError'
  /** The code of the error in the walsync process, if it named one. */
  readonly reason: string | undefined

  constructor(
    code: ReplicationErrorCode,
    message: string,
    { hint, cause, reason }: ReplicationErrorOptions = {},
  ) {
    super(code, message, EXIT_CODES[code] ?? ExitCode.other, { hint, cause })
    this.reason = reason
  }
}

/** An error as the walsync process reports it, in JSON. */
export interface ReportedError {
  readonly code?: unknown
  readonly message?: unknown
  readonly hint?: unknown
  readonly exitCode?: unknown
}

/** @param fallback for an error whose code says nothing about its kind */
export function fromReport(
  { code, message, hint, exitCode }: ReportedError,
  fallback: ReplicationErrorCode = 'Failed',
): ReplicationError {
  const reason = typeof code === 'string' ? code : undefined
  const kind = CODES_OF_CONTROL[reason ?? ''] ?? codeOf(exitCode) ?? fallback
  const text = typeof message === 'string' ? message : 'walsync failed without saying why.'
  return new ReplicationError(kind, text, {
    hint: typeof hint === 'string' ? hint : undefined,
    reason,
  })
}

const EXIT_CODES: Partial<Record<ReplicationErrorCode, ExitCode>> = {
  Usage: ExitCode.usage,
  Database: ExitCode.database,
  Store: ExitCode.store,
  Integrity: ExitCode.integrity,
  Unreachable: ExitCode.unreachable,
  Fenced: ExitCode.fenced,
}

const CODES_OF_CONTROL: Readonly<Record<string, ReplicationErrorCode>> = {
  Timeout: 'Timeout',
  StoreFailing: 'Store',
  DatabaseFailing: 'Database',
  Fenced: 'Fenced',
  Standby: 'Standby',
  Stopped: 'Stopped',
}

function codeOf(exitCode: unknown): ReplicationErrorCode | undefined {
  for (const [code, value] of Object.entries(EXIT_CODES)) {
    if (value === exitCode) return code as ReplicationErrorCode
  }
  return undefined
}
