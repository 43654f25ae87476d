import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../../errors.ts'
import type { ClaimRecord } from './claim-records.ts'

/**
 * `TakenOver`: a newer writer owns the replica, or its objects stand where this one's would go and
 * are not of this database's history. `ClaimHeld`: another writer's claim stands, and this one was
 * asked not to take over (`lease: 'strict'`).
 */
export type FencedErrorCode = 'TakenOver' | 'ClaimHeld'

export interface FencedErrorOptions extends WalsyncErrorOptions {
  /** The other writer's claim, where it has one that can be read. */
  readonly holder?: ClaimRecord | undefined
}

const HINT =
  'Only one watcher may write to a replica. Stop the other one, or give this database a prefix of its own.'

/** Another writer owns the replica: this one must end, or must not begin. */
export class FencedError extends WalsyncError<FencedErrorCode> {
  override readonly name = 'FencedError'
  /** Name of the replica. */
  readonly database: string
  /** The object that shows it, or the slot in words. */
  readonly key: string
  readonly holder: ClaimRecord | undefined

  constructor(
    code: FencedErrorCode,
    database: string,
    key: string,
    message: string,
    options: FencedErrorOptions = {},
  ) {
    super(code, message, ExitCode.fenced, { ...options, hint: options.hint ?? HINT })
    this.database = database
    this.key = key
    this.holder = options.holder
  }
}
