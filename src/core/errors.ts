/** Exit codes of the `walsync` process, for scripts and service managers. Listed in docs/errors.md. */
export const ExitCode = {
  ok: 0,
  other: 1,
  usage: 2,
  database: 3,
  store: 4,
  integrity: 5,
  unreachable: 6,
  /** `walsync sync` only: not in the store within the timeout, or this watcher stands by. Try again. */
  notYet: 7,
  /** `EX_TEMPFAIL` of sysexits.h: another writer took over, and a restart would only fence that one. */
  fenced: 75,
} as const
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

export interface WalsyncErrorOptions {
  /** One sentence for the operator: what to do about it. */
  readonly hint?: string | undefined
  /** The error that led to this one. */
  readonly cause?: unknown
}

const BRAND = Symbol.for('walsync/Error')

/**
 * Base of every error that walsync throws on purpose, apart from an aborted signal's own reason.
 * Each subclass has a closed set of codes: match on `code`, never on the message.
 */
export abstract class WalsyncError<Code extends string = string> extends Error {
  readonly code: Code
  /** One sentence for the operator: what to do about it. */
  readonly hint: string | undefined
  /** Exit code of a process that this error ends; an `ExitCode`, or 128 + n after signal n. */
  readonly exitCode: number

  /** @param message Complete sentence that says what went wrong and where, without secrets. */
  constructor(
    code: Code,
    message: string,
    exitCode: number,
    { hint, cause }: WalsyncErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = hint
    this.exitCode = exitCode
    Object.defineProperty(this, BRAND, { value: true })
  }
}

/** Recognises a `WalsyncError` of any copy of this package: two installed copies defeat `instanceof`. */
export function isWalsyncError(error: unknown): error is WalsyncError {
  return typeof error === 'object' && error !== null && BRAND in error
}
