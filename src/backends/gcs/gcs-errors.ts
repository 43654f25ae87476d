import { StoreError, type StoreErrorCode } from '../../core/store/index.ts'
import { peerAt, withPeer } from '../shared/peer.ts'
import { retryAfterMs } from '../shared/retry-after.ts'
import { transportFailure } from '../shared/transport-error.ts'

export interface GcsErrorContext {
  readonly op: string
  readonly key?: string | undefined
  readonly bucket: string
  readonly condition?: 'ifAbsent' | 'ifMatch' | undefined
}

/** A response that is not a success, with what its body says. */
export class GcsAnswerError extends Error {
  readonly status: number
  /** `error.errors[0].reason` of the JSON API, or `<Code>` of the XML API. */
  readonly reason: string
  readonly retryAfter: string | undefined

  constructor(status: number, body: string, retryAfter: string | undefined) {
    const { reason, message } = parseBody(body)
    super(message === '' ? `HTTP ${status}` : message)
    this.name = 'GcsAnswerError'
    this.status = status
    this.reason = reason
    this.retryAfter = retryAfter
  }
}

/** Maps a response or a connection failure to a `StoreError`. */
export function mapGcsError(cause: unknown, context: GcsErrorContext): StoreError {
  const { code, outcome, retryable, hint } =
    cause instanceof GcsAnswerError ? answered(cause, context) : withoutAnswer(cause, context)
  const answer = cause instanceof GcsAnswerError ? cause : undefined
  const subject = context.key === undefined ? `The bucket ${context.bucket}` : context.key
  const detail = answer === undefined ? codeOf(cause) : `${answer.status} ${answer.reason}`
  return new StoreError(code, `${subject}: ${context.op} failed, ${code} (${detail.trim()}).`, {
    op: context.op,
    key: context.key,
    cause,
    httpStatus: answer?.status,
    retryAfterMs: retryAfterMs(answer?.retryAfter),
    outcome,
    retryable,
    hint,
  })
}

const NOT_GCS =
  'Check the endpoint, and what is between here and the service: a proxy or a login page may have answered.'

/** A success that Google Cloud Storage would not send. */
export function notFromGcs(op: string, message: string, key?: string): StoreError {
  return new StoreError('Unavailable', message, {
    op,
    key,
    outcome: isWrite(op) ? 'unknown' : 'not-applied',
    hint: NOT_GCS,
  })
}

/** Maps a failure of the SDK to get an access token. */
export function noToken(cause: unknown, keyFile: string | undefined): StoreError {
  const url = (cause as { readonly config?: { readonly url?: unknown } } | undefined)?.config?.url
  const asked = url === undefined ? null : URL.parse(String(url))
  const failure = transportFailure(asked ? withPeer(cause, peerAt(asked, undefined)) : cause)
  // Without a hint it is the code of another failure, such as that of reading a file.
  if (failure?.hint !== undefined) {
    const { code, retryable, hint } = failure
    return new StoreError(code, "Google's token service could not be reached.", {
      op: 'open',
      cause,
      retryable,
      hint,
    })
  }
  const [message, hint] =
    keyFile === undefined
      ? [
          'There are no credentials for Google Cloud Storage.',
          'Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login.',
        ]
      : [
          `Google does not accept the credentials in ${keyFile}.`,
          'The key may have been deleted or disabled, or the clock of this machine is wrong. Make a new key file.',
        ]
  return new StoreError('Unauthenticated', message, { op: 'open', cause, hint })
}

interface Verdict {
  readonly code: StoreErrorCode
  readonly hint?: string | undefined
  readonly outcome?: 'unknown' | undefined
  readonly retryable?: boolean | undefined
}

/** @see https://cloud.google.com/storage/docs/json_api/v1/status-codes */
function answered(error: GcsAnswerError, context: GcsErrorContext): Verdict {
  const { status, reason, message } = error
  const outcome = isWrite(context.op) ? 'unknown' : undefined
  switch (status) {
    case 400:
      if (/crc32c|md5|checksum/i.test(message)) return { code: 'Corrupted', retryable: true }
      return { code: 'InvalidArgument' }
    case 401:
      return { code: 'Unauthenticated', hint: 'The credentials are missing, expired or unknown.' }
    case 403:
      if (/rateLimitExceeded/i.test(reason)) return { code: 'Throttled' }
      return {
        code: 'PermissionDenied',
        hint: `The account needs storage.objects.* on the bucket ${context.bucket}.`,
      }
    case 304:
    case 412:
      return { code: context.condition === 'ifAbsent' ? 'AlreadyExists' : 'PreconditionFailed' }
    case 404:
      if (reason === 'NoSuchBucket' || /bucket does not exist/i.test(message)) {
        return { code: 'ContainerNotFound', hint: 'Check the name of the bucket.' }
      }
      if (context.condition === 'ifMatch') return { code: 'PreconditionFailed' }
      // A put only needs its bucket to exist.
      return { code: context.op === 'put' ? 'ContainerNotFound' : 'NotFound' }
    case 409:
      return { code: 'Unavailable' }
    case 416:
      return { code: 'InvalidRange' }
    case 429:
      return { code: 'Throttled' }
    case 405:
    case 501:
      return { code: 'Unsupported' }
    case 507:
      return { code: 'NoSpace' }
    case 408:
      return { code: 'Unavailable', outcome }
    default:
      return status >= 500 ? { code: 'Unavailable', outcome } : { code: 'Unknown' }
  }
}

/** A write may have taken effect although its response was lost. */
function isWrite(op: string): boolean {
  return op === 'put' || op === 'delete'
}

function withoutAnswer(error: unknown, context: GcsErrorContext): Verdict {
  const failure = transportFailure(error)
  const outcome = isWrite(context.op) && failure?.sent !== false ? 'unknown' : undefined
  if (failure !== undefined) {
    return { code: failure.code, outcome, retryable: failure.retryable, hint: failure.hint }
  }
  if (error instanceof SyntaxError) return { code: 'Unavailable', outcome, hint: NOT_GCS }
  return { code: 'Unknown', outcome }
}

function parseBody(body: string): { reason: string; message: string } {
  try {
    const { error } = JSON.parse(body) as {
      error?: { message?: string; errors?: { reason?: string }[] }
    }
    return { reason: error?.errors?.[0]?.reason ?? '', message: error?.message ?? '' }
  } catch {
    const code = /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? ''
    const message = /<Message>([^<]*)<\/Message>/.exec(body)?.[1] ?? ''
    return { reason: code, message }
  }
}

function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  return String(code ?? name ?? 'unknown error')
}
