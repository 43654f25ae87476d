import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../../errors.ts'
import { type ClaimRecord, epochKey } from './claim-records.ts'

/**
 * `TakenOver`: a newer writer owns the replica, or another database's file is in this writer's next
 * slot. `ClaimHeld`: another writer's claim is locked, and this one was asked not to take over.
 */
export type FencedErrorCode = 'TakenOver' | 'ClaimHeld'

export interface FencedErrorOptions extends WalsyncErrorOptions {
  /** The other writer's claim, if it can be read. */
  readonly holder?: ClaimRecord | undefined
  /** The newer writer replicates the very same file, not a copy of it. Default false. */
  readonly isSameFile?: boolean | undefined
  /** The newer writer waits for the lock that this one holds. Default false. */
  readonly wantsLock?: boolean | undefined
}

const HINT =
  'Only one watcher may write to a replica. Stop the other one, or give this database its own prefix.'

/** Another writer owns the replica: this one must stop, or must not start. */
export class FencedError extends WalsyncError<FencedErrorCode> {
  override readonly name = 'FencedError'
  /** Name of the replica. */
  readonly database: string
  /** Key of the object that shows it, or a description of the slot. */
  readonly key: string
  readonly holder: ClaimRecord | undefined
  /** The newer writer replicates the very same file: an application that writes to it need not end. */
  readonly isSameFile: boolean
  /** The newer writer took over by force and waits for this one's hand-over lock. */
  readonly wantsLock: boolean

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
    this.isSameFile = options.isSameFile ?? false
    this.wantsLock = options.wantsLock ?? false
  }
}

/**
 * A claim newer than this writer's own exists.
 *
 * @param own what this writer's claim says, or would say
 * @param newer epoch of the newer claim
 * @param holder its record, if it can be read
 */
export function takenOver(
  database: string,
  own: Pick<ClaimRecord, 'epoch' | 'file' | 'lock'>,
  newer: number,
  holder: ClaimRecord | undefined,
): FencedError {
  const isSameFile = own.file !== undefined && holder?.file === own.file
  const wantsLock = isSameFile && own.lock !== undefined && holder?.lock === own.lock
  const message = `A newer writer has taken over the replica of ${database}: ${describeHolder(newer, holder)}. This one had epoch ${own.epoch}.`
  return new FencedError('TakenOver', database, epochKey(newer, 'claim'), message, {
    holder,
    isSameFile,
    wantsLock,
  })
}

/** A strict writer found another writer's locked claim. */
export function claimHeld(
  database: string,
  epoch: number,
  holder: ClaimRecord | undefined,
): FencedError {
  const message = `Another writer holds the replica of ${database}: ${describeHolder(epoch, holder)}.`
  const hint = `Stop that writer. If it was killed or its machine is gone: walsync unlock ${database} -b URL.`
  return new FencedError('ClaimHeld', database, epochKey(epoch, 'claim'), message, { hint, holder })
}

/** Whose claim it is, for messages: `epoch 3, process 4711 on web-1, since 2026-01-31T12:00:00.000Z`. */
export function describeHolder(epoch: number, holder: ClaimRecord | undefined): string {
  if (holder === undefined) return `epoch ${epoch}, by an unknown writer`
  const { pid, host, startedAt } = holder
  return `epoch ${epoch}, process ${pid} on ${host}, since ${startedAt.toISOString()}`
}
