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

export interface RestoreErrorOptions {
  /** One sentence for the operator: what to do about it. */
  readonly hint?: string | undefined
  /** Object concerned, relative to the replica's prefix. */
  readonly key?: string | undefined
  /** File concerned. */
  readonly path?: string | undefined
  /** Last state before the problem that the other objects still give, going by the listing. */
  readonly restorableTo?: RestorePoint | undefined
  readonly cause?: unknown
}

/** The restore was not done. The target is as it was. */
export class RestoreError extends Error {
  readonly code: RestoreErrorCode
  readonly hint: string | undefined
  readonly key: string | undefined
  readonly path: string | undefined
  readonly restorableTo: RestorePoint | undefined

  constructor(code: RestoreErrorCode, message: string, options: RestoreErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RestoreError'
    this.code = code
    this.hint = options.hint
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
