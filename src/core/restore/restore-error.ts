import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../errors.ts'
import { formatTxid, type TXID } from '../ltx/index.ts'

/**
 * What went wrong, as a closed set. Callers branch on `code`, never on the message.
 *
 * The request: `InvalidTarget` (a time or TXID that is not recognised). The replica has no such
 * state: `NoReplica` (no LTX file at all), `Gap` (TXIDs that no file holds), `TargetNotReachable`
 * (before the first state, after the last, or between two that files end with), `MissingObject`
 * (listed, but not there). The contents of the replica: `DamagedObject`, `MissingPage` (no file of
 * the plan holds the page), `PageSizeMismatch`, `ChecksumMismatch` (the files together do not
 * produce the database that was replicated), `IntegrityCheckFailed` (SQLite finds the result
 * corrupt), `IntegrityCheckIncomplete` (SQLite could not finish the check). The output:
 * `TargetExists`, `StaleSidecar`, `NotAFile`, `ParentMissing`, `NoSpace`, `NotWritable`,
 * `WriteFailed`.
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
  /**
   * Last state before the problem that the other objects can still restore, according to the
   * listing.
   */
  readonly restorableTo?: RestorePoint | undefined
}

/**
 * A state that does not exist gives 6. Damage and gaps give 5, so that a damaged backup is not
 * mistaken for a missing one. A bad target is a usage error: 2.
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

/** The restore failed. The target is unchanged. */
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

/** A sentence that says how far a restore gets. */
export function restorableSentence(point: RestorePoint | undefined): string {
  if (point === undefined) return 'Without it no state can be restored.'
  const time = point.time === undefined ? '' : ` (${point.time.toISOString()})`
  return `A restore is possible up to TXID ${formatTxid(point.txid)}${time}.`
}
