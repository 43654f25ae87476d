import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../errors.ts'
import { formatTxid, type TXID } from '../ltx/index.ts'

/**
 * What went wrong, as a closed set. Callers branch on `code`, never on the message.
 *
 * What was asked for: `InvalidTarget` (a time or TXID that cannot be understood).
 * The replica has no such state: `NoReplica` (no LTX file at all), `Gap` (TXIDs that no file
 * holds), `TargetNotReachable` (before the first state, behind the last, or between two that files
 * end with), `MissingObject` (listed and not there).
 * Its contents are wrong: `DamagedObject`, `MissingPage` (no file of the plan holds the page),
 * `PageSizeMismatch`, `ChecksumMismatch` (the files together do not make the database that was
 * replicated), `IntegrityCheckFailed` (SQLite finds the result corrupt),
 * `IntegrityCheckIncomplete` (SQLite could not finish the check).
 * The place to write to: `TargetExists`, `StaleSidecar`, `NotAFile`, `ParentMissing`, `NoSpace`,
 * `NotWritable`, `WriteFailed`.
 */
export type RestoreErrorCode =
  | 'InvalidTarget'
  | 'NoReplica'
  | 'Gap'
  | 'TargetNotReachable'
  | 'MissingObject'
  | 'DamagedObject'
  | 'MissingPage'
  | 'PageSizeMismatch'
  | 'ChecksumMismatch'
  | 'IntegrityCheckFailed'
  | 'IntegrityCheckIncomplete'
  | 'TargetExists'
  | 'StaleSidecar'
  | 'NotAFile'
  | 'ParentMissing'
  | 'NoSpace'
  | 'NotWritable'
  | 'WriteFailed'

/** A state that can be restored. */
export interface RestorePoint {
  readonly txid: TXID
  /** `undefined` where the store does not list times. */
  readonly time: Date | undefined
}

export interface RestoreErrorOptions extends WalsyncErrorOptions {
  /** Object concerned, relative to the replica's prefix. */
  readonly key?: string | undefined
  /** File concerned. */
  readonly path?: string | undefined
  /** Last state before the problem that the other objects still give, going by the listing. */
  readonly restorableTo?: RestorePoint | undefined
}

/**
 * A state that is not there is 6. Damage and gaps are 5, so that nobody mistakes a damaged backup for
 * none. A target that was badly chosen is the caller's 2.
 */
const EXIT_CODES: Readonly<Record<RestoreErrorCode, ExitCode>> = {
  InvalidTarget: ExitCode.usage,
  NoReplica: ExitCode.unreachable,
  Gap: ExitCode.integrity,
  TargetNotReachable: ExitCode.unreachable,
  MissingObject: ExitCode.unreachable,
  DamagedObject: ExitCode.integrity,
  MissingPage: ExitCode.integrity,
  PageSizeMismatch: ExitCode.integrity,
  ChecksumMismatch: ExitCode.integrity,
  IntegrityCheckFailed: ExitCode.integrity,
  IntegrityCheckIncomplete: ExitCode.integrity,
  TargetExists: ExitCode.usage,
  StaleSidecar: ExitCode.usage,
  NotAFile: ExitCode.usage,
  ParentMissing: ExitCode.usage,
  NoSpace: ExitCode.other,
  NotWritable: ExitCode.other,
  WriteFailed: ExitCode.other,
}

/** The restore was not done. The target is as it was. */
export class RestoreError extends WalsyncError<RestoreErrorCode> {
  override readonly name = 'RestoreError'
  readonly key: string | undefined
  readonly path: string | undefined
  readonly restorableTo: RestorePoint | undefined

  constructor(code: RestoreErrorCode, message: string, options: RestoreErrorOptions = {}) {
    super(code, message, EXIT_CODES[code], options)
    this.key = options.key
    this.path = options.path
    this.restorableTo = options.restorableTo
  }
}

/** Says in a sentence how far a restore gets. */
export function restorableSentence(point: RestorePoint | undefined): string {
  if (point === undefined) return 'Without it no state can be restored.'
  const time = point.time === undefined ? '' : ` (${point.time.toISOString()})`
  return `A restore is possible up to TXID ${formatTxid(point.txid)}${time}.`
}
