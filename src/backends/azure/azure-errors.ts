import { StoreError, type StoreErrorCode } from '../../core/store/index.ts'
import { retryAfterMs } from '../shared/retry-after.ts'
import { transportFailure } from '../shared/transport-error.ts'

export interface AzureErrorContext {
  readonly op: string
  readonly key?: string | undefined
  readonly container: string
  readonly condition?: 'ifAbsent' | 'ifMatch' | undefined
}

interface SdkError {
  readonly name?: string
  readonly message?: string
  readonly code?: string
  readonly statusCode?: number
  readonly details?: { readonly errorCode?: string } | undefined
  readonly response?:
    | { readonly headers?: { get(name: string): string | undefined } | undefined }
    | undefined
}

/**
 * Maps what the SDK throws to a `StoreError`: by error code if the response has one, otherwise by
 * status.
 */
export function mapAzureError(error: unknown, context: AzureErrorContext): StoreError {
  const sdk = (error ?? {}) as SdkError
  // The status of a proxy that refuses a tunnel is not an answer of the service.
  const status = sdk.code === 'ERR_PROXY_TUNNEL' ? undefined : sdk.statusCode
  const name = sdk.details?.errorCode ?? sdk.code ?? ''
  const { code, hint, outcome, retryable, archived } =
    status === undefined || status < 300
      ? withoutAnswer(error, context)
      : answered(status, name, context)
  const subject = context.key === undefined ? `The container ${context.container}` : context.key
  const detail = [status, name].filter(Boolean).join(' ')
  const known = detail === '' ? '' : ` (${detail})`
  return new StoreError(code, `${subject}: ${context.op} failed, ${code}${known}.`, {
    op: context.op,
    key: context.key,
    cause: withoutRequest(sdk),
    httpStatus: status,
    requestId: sdk.response?.headers?.get('x-ms-request-id'),
    retryAfterMs: retryAfterMs(sdk.response?.headers?.get('retry-after')),
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

/** @see https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const BY_NAME: Readonly<Record<string, Verdict>> = {
  ContainerNotFound: { code: 'ContainerNotFound', hint: 'Check the container and the account.' },
  ContainerBeingDeleted: { code: 'ContainerNotFound' },
  ContainerDisabled: { code: 'PermissionDenied' },
  BlobNotFound: { code: 'NotFound' },
  BlobAlreadyExists: { code: 'AlreadyExists' },
  // Another writer committed this blob, which discarded our blocks. A repeated put sends them again.
  InvalidBlockList: { code: 'Unavailable' },
  InvalidRange: { code: 'InvalidRange' },
  Md5Mismatch: { code: 'Corrupted', retryable: true },
  Crc64Mismatch: { code: 'Corrupted', retryable: true },
  AuthenticationFailed: {
    code: 'Unauthenticated',
    hint: 'The account key or SAS token is wrong or expired, or the clock of this machine is off.',
  },
  NoAuthenticationInformation: { code: 'Unauthenticated' },
  InvalidAuthenticationInfo: { code: 'Unauthenticated' },
  ServerBusy: { code: 'Throttled' },
  OperationTimedOut: { code: 'Timeout' },
  LeaseIdMissing: {
    code: 'PermissionDenied',
    hint: 'The blob is leased. Break the lease, then try again.',
  },
  SnapshotsPresent: {
    code: 'PermissionDenied',
    hint: 'The blob has snapshots. Delete them first.',
  },
  // A 409 for a GET, and not a temporary conflict: retrying is pointless.
  BlobArchived: {
    code: 'Unsupported',
    archived: true,
    hint: 'The blob is in the archive tier. Rehydrate it first (az storage blob set-tier), then try again.',
  },
  BlobBeingRehydrated: {
    code: 'Unsupported',
    archived: true,
    hint: 'The blob is being rehydrated from the archive tier. Try again when that is done.',
  },
  BlobImmutableDueToPolicy: {
    code: 'PermissionDenied',
    hint: 'An immutability policy protects the blob.',
  },
}

function answered(status: number, name: string, context: AzureErrorContext): Verdict {
  const outcome = isWrite(context.op) ? 'unknown' : undefined
  const named = BY_NAME[name]
  if (named !== undefined) return name === 'OperationTimedOut' ? { ...named, outcome } : named
  switch (status) {
    case 400:
      return { code: 'InvalidArgument' }
    case 401:
      return { code: 'Unauthenticated' }
    case 403:
      return {
        code: 'PermissionDenied',
        hint: 'The role needs to read, write, delete and list blobs (Storage Blob Data Contributor).',
      }
    case 404:
      if (context.condition === 'ifMatch') return { code: 'PreconditionFailed' }
      // A put only needs its container to exist.
      return { code: context.op === 'put' ? 'ContainerNotFound' : 'NotFound' }
    case 408:
      return { code: 'Unavailable', outcome }
    case 409:
      return { code: 'Unavailable' }
    case 304:
    case 412:
      return { code: context.condition === 'ifAbsent' ? 'AlreadyExists' : 'PreconditionFailed' }
    case 416:
      return { code: 'InvalidRange' }
    case 429:
      return { code: 'Throttled' }
    case 405:
    case 501:
      return { code: 'Unsupported' }
    case 507:
      return { code: 'NoSpace' }
    default:
      return status >= 500 ? { code: 'Unavailable', outcome } : { code: 'Unknown' }
  }
}

/** A write may have taken effect although its response was lost. */
function isWrite(op: string): boolean {
  return op === 'put' || op === 'delete'
}

function withoutAnswer(error: unknown, context: AzureErrorContext): Verdict {
  const { name = '' } = (error ?? {}) as SdkError
  if (/Credential|Authentication(Required)?Error/.test(name)) {
    return {
      code: 'Unauthenticated',
      hint: 'Set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or run az login.',
    }
  }
  if (name === 'NotFromAzure') {
    return {
      code: 'Unavailable',
      outcome: isWrite(context.op) ? 'unknown' : undefined,
      hint: 'The response did not come from Azure Blob Storage. Check the endpoint, and what is between here and the service: a proxy or a login page may have answered.',
    }
  }
  const failure = transportFailure(error)
  const outcome = isWrite(context.op) && failure?.sent !== false ? 'unknown' : undefined
  if (failure !== undefined) {
    return { code: failure.code, outcome, retryable: failure.retryable, hint: failure.hint }
  }
  // The SDK's stream reports a short body, and its parser a damaged response, without a code.
  return { code: 'Unavailable', outcome }
}

/** A success that Azure has not sent. */
export class NotFromAzure extends Error {
  readonly code = 'NoRequestId'

  constructor() {
    super('the response has no x-ms-request-id')
    this.name = 'NotFromAzure'
  }
}

/** The SDK's error includes the request, whose URL may contain a SAS signature. */
function withoutRequest({ name, message, code, statusCode }: SdkError): Error {
  const text = String(message ?? '').replace(/([?&]sig=)[^&\s"]*/g, '$1…')
  return Object.assign(new Error(text), {
    name: name ?? 'Error',
    ...(code === undefined ? {} : { code }),
    ...(statusCode === undefined ? {} : { statusCode }),
  })
}
