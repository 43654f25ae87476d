import { ExitCode, WalsyncError, type WalsyncErrorOptions } from '../errors.ts'

/**
 * What went wrong, as a closed set. Callers branch on `code`, never on the message.
 *
 * `NotFound`: the key does not exist. `ContainerNotFound`: the bucket, container or root folder
 * does not exist. `AlreadyExists`: a create-only put lost. `PreconditionFailed`: `ifMatch` did not
 * hold. `Corrupted`: bytes arrived damaged or short. `Closed`: the store was closed.
 */
export type StoreErrorCode =
  | 'NotFound'
  | 'ContainerNotFound'
  | 'AlreadyExists'
  | 'PreconditionFailed'
  | 'InvalidKey'
  | 'InvalidArgument'
  | 'InvalidRange'
  | 'Unsupported'
  | 'Unauthenticated'
  | 'PermissionDenied'
  | 'Throttled'
  | 'Unavailable'
  | 'Timeout'
  | 'Corrupted'
  | 'NoSpace'
  | 'Closed'
  | 'Unknown'

export interface StoreErrorOptions extends WalsyncErrorOptions {
  /** The operation that failed: `put`, `get`, `head`, `list`, `delete`, `check`, `open`. */
  readonly op: string
  readonly key?: string | undefined
  /** Could the same call succeed later? Default: true for Throttled, Unavailable and Timeout. */
  readonly retryable?: boolean | undefined
  /** For writes: did it happen? Default `not-applied`. */
  readonly outcome?: 'not-applied' | 'unknown' | undefined
  readonly httpStatus?: number | undefined
  readonly requestId?: string | undefined
  /** How long the store asked callers to wait, in milliseconds (Retry-After). */
  readonly retryAfterMs?: number | undefined
  /**
   * For a get: the object is intact, but in an archive tier from which it must be restored before
   * it can be read.
   */
  readonly archived?: boolean | undefined
}

const BRAND = Symbol.for('walsync/StoreError')
const RETRYABLE: ReadonlySet<StoreErrorCode> = new Set(['Throttled', 'Unavailable', 'Timeout'])

/** The only error that an `ObjectStore` throws, apart from the reason of an aborted signal. */
export class StoreError extends WalsyncError<StoreErrorCode> {
  override readonly name = 'StoreError'
  readonly op: string
  readonly key: string | undefined
  readonly retryable: boolean
  readonly outcome: 'not-applied' | 'unknown'
  readonly httpStatus: number | undefined
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined
  readonly archived: boolean

  /** @param message A complete sentence without secrets; includes the key if there is one. */
  constructor(code: StoreErrorCode, message: string, options: StoreErrorOptions) {
    super(code, message, storeExitCode(code, options.op), options)
    this.op = options.op
    this.key = options.key
    this.retryable = options.retryable ?? RETRYABLE.has(code)
    this.outcome = options.outcome ?? 'not-applied'
    this.httpStatus = options.httpStatus
    this.requestId = options.requestId
    this.retryAfterMs = options.retryAfterMs
    this.archived = options.archived ?? false
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** A setting that `open` refuses, or a name that no key can hold, is a mistake of the caller: no request has been sent. */
export function storeExitCode(code: StoreErrorCode, op: string): ExitCode {
  if (code === 'Corrupted') return ExitCode.integrity
  if (code === 'InvalidKey' && op === 'encode') return ExitCode.usage
  const isConfiguration = code === 'InvalidArgument' || code === 'Unsupported'
  return op === 'open' && isConfiguration ? ExitCode.usage : ExitCode.store
}

/**
 * Recognises a `StoreError` of any copy of this package, by brand: with two installed copies,
 * `instanceof` fails.
 */
export function isStoreError(error: unknown): error is StoreError {
  return typeof error === 'object' && error !== null && BRAND in error
}

/**
 * Does the error say that an object is archived? It cannot be read now, but nothing is wrong with
 * it or with the store.
 */
export function isArchived(error: unknown): error is StoreError {
  return isStoreError(error) && error.archived === true
}

/** A copy with some fields changed. Keeps the stack of the original, which shows where it came from. */
export function copyError(
  error: StoreError,
  change: Partial<StoreErrorOptions> & { readonly message?: string },
): StoreError {
  const { message = error.message, ...options } = change
  const copy = new StoreError(error.code, message, { ...error, cause: error.cause, ...options })
  if (error.stack !== undefined) copy.stack = error.stack
  return copy
}
