/** Errors of a connection that was never made: the service saw nothing of the request. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

export interface TransportFailure {
  readonly code: 'Timeout' | 'Unavailable'
  /** May the service have carried the request out? */
  readonly sent: boolean
}

/** Recognises an error below HTTP by its code or by that of a cause; `undefined` for any other error. */
export function transportFailure(error: unknown): TransportFailure | undefined {
  for (let at = error, depth = 0; depth < 5 && typeof at === 'object' && at !== null; depth++) {
    const { code, name, message, cause } = at as {
      readonly code?: unknown
      readonly name?: unknown
      readonly message?: unknown
      readonly cause?: unknown
    }
    // The AWS SDK calls a reset connection a TimeoutError as well, so the code is asked first.
    if (code === 'ETIMEDOUT') return { code: 'Timeout', sent: true }
    if (typeof code === 'string' && /^(E[A-Z]+$|HPE_|ERR_(STREAM|SSL|TLS|HTTP))/.test(code)) {
      return { code: 'Unavailable', sent: !NEVER_SENT.has(code) }
    }
    if (name === 'TimeoutError') return { code: 'Timeout', sent: true }
    if (message === 'aborted') return { code: 'Unavailable', sent: true }
    at = cause
  }
  return undefined
}
