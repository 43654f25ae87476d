import { type ConnectionError, connectionHint, speaksNoTls } from './connection-hint.ts'
import { type Peer, peerOf } from './peer.ts'

/** Errors of a connection that was never established: the service has not seen the request. */
const NEVER_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_PROXY_TUNNEL',
])

export interface TransportFailure {
  readonly code: 'Timeout' | 'Unavailable'
  /** Whether the service may have carried out the request. */
  readonly sent: boolean
  /** `false` if only the operator can fix it; otherwise the code decides. */
  readonly retryable?: false | undefined
  readonly hint?: string | undefined
}

const UNKNOWN_AUTHORITY =
  "Node does not trust the authority that issued the service's certificate. Set NODE_EXTRA_CA_CERTS to a PEM file with its root certificate, and start again."
const WRONG_TIME =
  "The service's certificate has expired or is not valid yet. Renew it, or set the clock of this machine."
const WRONG_HOST =
  "The service's certificate is for another host name. Use one of its names as the endpoint."
const BAD_CERTIFICATE = "The service's certificate was refused. Replace it."

/**
 * Hints for a refused certificate, by the code that Node gets from OpenSSL. The handshake comes
 * before the request, so nothing was sent, and another attempt would meet the same certificate.
 *
 * @see https://nodejs.org/api/tls.html#x509-certificate-error-codes
 */
const CERTIFICATE_HINTS: ReadonlyMap<unknown, string> = new Map([
  ['SELF_SIGNED_CERT_IN_CHAIN', UNKNOWN_AUTHORITY],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_GET_ISSUER_CERT', UNKNOWN_AUTHORITY],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', UNKNOWN_AUTHORITY],
  ['CERT_UNTRUSTED', UNKNOWN_AUTHORITY],
  ['CERT_HAS_EXPIRED', WRONG_TIME],
  ['CERT_NOT_YET_VALID', WRONG_TIME],
  ['ERR_TLS_CERT_ALTNAME_INVALID', WRONG_HOST],
  ['HOSTNAME_MISMATCH', WRONG_HOST],
  ['CERT_REVOKED', BAD_CERTIFICATE],
  ['CERT_REJECTED', BAD_CERTIFICATE],
  ['CERT_SIGNATURE_FAILURE', BAD_CERTIFICATE],
  ['CERT_CHAIN_TOO_LONG', BAD_CERTIFICATE],
  ['INVALID_CA', BAD_CERTIFICATE],
  ['INVALID_PURPOSE', BAD_CERTIFICATE],
  ['PATH_LENGTH_EXCEEDED', BAD_CERTIFICATE],
])

/** Recognises an error below HTTP by its code or by that of a cause; `undefined` for any other error. */
export function transportFailure(error: unknown): TransportFailure | undefined {
  let peer: Peer | undefined
  const chain = causesOf(error)
  for (const at of chain) peer ??= peerOf(at)
  for (const at of chain) {
    const failure = failureOf(at, peer)
    if (failure !== undefined) return failure
  }
  return undefined
}

function causesOf(error: unknown): object[] {
  const chain: object[] = []
  for (let at = error; typeof at === 'object' && at !== null && chain.length < 5; ) {
    chain.push(at)
    at = (at as { readonly cause?: unknown }).cause
  }
  return chain
}

/** The AWS SDK also calls a reset connection a TimeoutError, so the code is checked first. */
function failureOf(
  error: ConnectionError & { readonly name?: unknown },
  peer: Peer | undefined,
): TransportFailure | undefined {
  const { code, name, message } = error
  const certificate = CERTIFICATE_HINTS.get(code)
  if (certificate !== undefined) {
    return { code: 'Unavailable', sent: false, retryable: false, hint: certificate }
  }
  if (
    typeof code === 'string' &&
    /^(E(AI_)?[A-Z]+$|HPE_|ERR_(STREAM|SSL|TLS|HTTP|PROXY))/.test(code)
  ) {
    return {
      code: code === 'ETIMEDOUT' ? 'Timeout' : 'Unavailable',
      sent: !NEVER_SENT.has(code) && !speaksNoTls(error),
      retryable: onlyOperatorHelps(error) ? false : undefined,
      hint: connectionHint(error, peer),
    }
  }
  if (name === 'TimeoutError') {
    return { code: 'Timeout', sent: true, hint: connectionHint({ code: 'ETIMEDOUT' }, peer) }
  }
  if (message === 'aborted') {
    return { code: 'Unavailable', sent: true, hint: connectionHint({ code: 'ECONNRESET' }, peer) }
  }
  return undefined
}

/** A plain server where TLS was expected, or a proxy that refuses to connect: not a passing failure. */
function onlyOperatorHelps(error: ConnectionError): boolean {
  if (speaksNoTls(error)) return true
  const status = Number(error.statusCode)
  return error.code === 'ERR_PROXY_TUNNEL' && status >= 400 && status < 500
}
