import { isStoreError, StoreError, type StoreErrorCode } from '../../core/store/index.ts'
import { retryAfterMs } from '../shared/retry-after.ts'
import { transportFailure } from '../shared/transport-error.ts'
import type { S3Options } from './s3-options.ts'

export interface S3ErrorContext {
  readonly op: string
  readonly key?: string | undefined
  readonly options: Pick<S3Options, 'bucket' | 'awsProfile' | 'awsFiles'>
  readonly condition?: 'ifAbsent' | 'ifMatch' | undefined
}

interface SdkError {
  readonly name?: string
  readonly Code?: string
  readonly code?: string
  readonly message?: string
  readonly Region?: string
  readonly Endpoint?: string
  /** Of a name look-up that failed. */
  readonly hostname?: string
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** Parts of a refused signature that must not appear in a log. */
const REVEALING = [
  'StringToSign',
  'StringToSignBytes',
  'SignatureProvided',
  'CanonicalRequest',
  'CanonicalRequestBytes',
]

/**
 * Maps what the SDK throws to a `StoreError`: by HTTP status first, because responses to HEAD have
 * no error name.
 */
export function mapS3Error(cause: unknown, context: S3ErrorContext): StoreError {
  if (isStoreError(cause)) return cause
  const error = (cause ?? {}) as SdkError
  for (const field of REVEALING) delete (cause as Record<string, unknown>)[field]
  const status = error.$metadata?.httpStatusCode
  const name = error.Code ?? error.name ?? ''
  const { code, hint, outcome, retryable, archived } =
    status === undefined || status < 300
      ? withoutAnswer(error, name, context)
      : answered(status, name, error, context)
  const subject = context.key === undefined ? `The bucket ${context.options.bucket}` : context.key
  const detail = [status, name === 'Error' ? '' : name, error.code].filter(Boolean).join(' ')
  const known = detail === '' ? '' : ` (${detail})`
  return new StoreError(code, `${subject}: ${context.op} failed, ${code}${known}.`, {
    op: context.op,
    key: context.key,
    cause,
    httpStatus: status,
    requestId: error.$metadata?.requestId,
    retryAfterMs: retryAfterMs(error.$response?.headers?.['retry-after']),
    outcome,
    retryable,
    hint,
    archived,
  })
}

interface Verdict {
  readonly code: StoreErrorCode
  readonly hint?: string | undefined
  readonly outcome?: 'unknown' | undefined
  readonly retryable?: boolean | undefined
  readonly archived?: boolean
}

/** Codes that mean the same whatever the status. */
const BY_NAME: Readonly<Record<string, Verdict>> = {
  NoSuchBucket: {
    code: 'ContainerNotFound',
    hint: 'Check the bucket name, the region and the endpoint.',
  },
  InvalidBucketName: {
    code: 'ContainerNotFound',
    hint: 'The service does not allow a bucket of this name.',
  },
  // The upload was aborted or completed by someone else; a repeated put starts a new one.
  NoSuchUpload: { code: 'Unavailable' },
  // On servers that store objects in folders, a name is either an object or a folder.
  ObjectParentIsFile: { code: 'InvalidKey' },
  ExistingObjectIsDirectory: { code: 'InvalidKey' },
  XMinioParentIsObject: { code: 'InvalidKey' },
  XMinioObjectExistsAsDirectory: { code: 'InvalidKey' },
  BadDigest: { code: 'Corrupted', retryable: true },
  XAmzContentChecksumMismatch: { code: 'Corrupted', retryable: true },
  XAmzContentSHA256Mismatch: { code: 'Corrupted', retryable: true },
  InvalidDigest: { code: 'Corrupted', retryable: true },
  IncompleteBody: { code: 'Corrupted', retryable: true },
  RequestTimeout: { code: 'Timeout' },
  RequestTimeTooSkewed: {
    code: 'Unauthenticated',
    hint: "This machine's clock differs from the service's. Set it, for example with NTP.",
  },
  InvalidAccessKeyId: {
    code: 'Unauthenticated',
    hint: 'The service does not know this access key.',
  },
  SignatureDoesNotMatch: {
    code: 'Unauthenticated',
    hint: 'The secret key does not match the access key, or the region or endpoint is wrong.',
  },
  ExpiredToken: { code: 'Unauthenticated', hint: 'The session token has expired. Get a new one.' },
  InvalidToken: { code: 'Unauthenticated', hint: 'The session token is malformed.' },
  XMinioStorageFull: { code: 'NoSpace' },
  QuotaExceeded: { code: 'NoSpace' },
  // A 403 for a GET of an object in Glacier has nothing to do with permissions.
  InvalidObjectState: {
    code: 'Unsupported',
    archived: true,
    hint: 'The object is archived (Glacier). Restore it from the archive first (aws s3api restore-object), then try again.',
  },
  SlowDown: { code: 'Throttled' },
  TooManyRequests: { code: 'Throttled' },
}

const NO_CONDITIONS =
  'The service does not support conditional writes. If only one walsync writes to this replica, use --no-fencing, which sends none.'

function answered(status: number, name: string, error: SdkError, context: S3ErrorContext): Verdict {
  const named = BY_NAME[name]
  if (named !== undefined) return named
  const unknown = isWrite(context.op) ? 'unknown' : undefined
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return wrongPlace(error)
    case 304:
      // Old MinIO releases answer like this when a create-only put loses.
      return { code: context.condition === 'ifAbsent' ? 'AlreadyExists' : 'PreconditionFailed' }
    case 400:
      if (name === 'AuthorizationHeaderMalformed') return wrongPlace(error)
      return { code: 'InvalidArgument' }
    case 401:
      return { code: 'Unauthenticated' }
    case 403:
      return {
        code: 'PermissionDenied',
        hint: 'Without s3:ListBucket a missing key also looks like this.',
      }
    case 404:
      if (context.condition === 'ifMatch') return { code: 'PreconditionFailed' }
      // A listing and a plain put need no object, so it is the bucket that is missing.
      return context.key === undefined || context.op === 'put'
        ? BY_NAME.NoSuchBucket!
        : { code: 'NotFound' }
    case 408:
      // Tigris sheds load with 408 RequestCanceled.
      return { code: 'Unavailable', outcome: unknown }
    case 409:
      // A conflict in which nothing was stored; it does not mean that the key exists.
      return { code: 'Unavailable' }
    case 412:
      return { code: context.condition === 'ifAbsent' ? 'AlreadyExists' : 'PreconditionFailed' }
    case 416:
      return { code: 'InvalidRange' }
    case 429:
      return { code: 'Throttled' }
    case 501:
      return { code: 'Unsupported', hint: context.condition && NO_CONDITIONS }
    case 405:
      return { code: 'Unsupported' }
    case 507:
      return { code: 'NoSpace' }
    case 503:
      return { code: 'Unavailable', outcome: unknown }
    default:
      if (status >= 500) return { code: 'Unavailable', outcome: unknown }
      return { code: 'Unknown' }
  }
}

/** A write may have taken effect although its response was lost. */
function isWrite(op: string): boolean {
  return op === 'put' || op === 'delete'
}

function withoutAnswer(error: SdkError, name: string, context: S3ErrorContext): Verdict {
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return { code: 'Unauthenticated', hint: credentialsHint(context) }
  }
  if (/region (is missing|not accepted)/i.test(error.message ?? '')) {
    const { awsProfile } = context.options
    const profile = awsProfile === undefined ? '' : ` The AWS profile ${awsProfile} gives none.`
    return {
      code: 'InvalidArgument',
      hint: `Set AWS_REGION or give the region option.${profile} A folder is given as ./NAME or as an absolute path.`,
    }
  }
  const failure = transportFailure(error)
  const outcome = isWrite(context.op) && failure?.sent !== false ? 'unknown' : undefined
  if (failure !== undefined) {
    const hint = failure.hint && `${failure.hint}${pathStyleHint(error, context)}`
    return { code: failure.code, outcome, retryable: failure.retryable, hint }
  }
  // A damaged response, which the SDK could not parse.
  if (error.$metadata !== undefined) return { code: 'Unavailable', outcome }
  return { code: 'Unknown', outcome }
}

function credentialsHint({ options: { awsProfile, awsFiles } }: S3ErrorContext): string {
  return awsProfile === undefined
    ? 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is attached.'
    : `The AWS profile ${awsProfile} gives no credentials. It must be in ${awsFiles.join(' or ')}, and hold keys or say where they come from.`
}

/** Few servers of one's own have a DNS name for each bucket. */
function pathStyleHint({ hostname = '' }: SdkError, { options }: S3ErrorContext): string {
  const { bucket } = options
  if (!hostname.startsWith(`${bucket}.`) || /\.amazonaws\.com(\.cn)?$/.test(hostname)) return ''
  return ' If the server expects the bucket in the path, add ?forcePathStyle=true to the URL.'
}

function wrongPlace(error: SdkError): Verdict {
  const right = error.Region ?? error.$response?.headers?.['x-amz-bucket-region'] ?? error.Endpoint
  return {
    code: 'InvalidArgument',
    hint: `The bucket is in another region or at another endpoint${right === undefined ? '' : `: ${right}`}.`,
  }
}
