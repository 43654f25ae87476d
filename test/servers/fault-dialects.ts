import type { FaultTarget } from '../../src/testing/faults.ts'

/** What the proxy must know of a request to classify it. */
export interface SeenRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface ErrorAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** One service's way to say things: which request is what, and how an error looks. */
export interface FaultDialect {
  /** `undefined`: none of the targets (opening an upload, asking for a bucket). */
  target(request: SeenRequest): Exclude<FaultTarget, 'any'> | undefined
  error(status: number, code: 'checksum' | undefined): ErrorAnswer
}

const S3_CODES: Readonly<Record<number, string>> = {
  400: 'InvalidRequest',
  401: 'InvalidAccessKeyId',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  408: 'RequestCanceled',
  409: 'ConditionalRequestConflict',
  412: 'PreconditionFailed',
  416: 'InvalidRange',
  429: 'TooManyRequests',
  500: 'InternalError',
  501: 'NotImplemented',
  503: 'SlowDown',
  507: 'XMinioStorageFull',
}

export const s3Dialect: FaultDialect = {
  target({ method, url }) {
    const query = url.searchParams
    if (query.has('partNumber')) return 'part'
    if (query.has('uploadId')) return method === 'POST' ? 'commit' : undefined
    if (query.has('delete')) return 'delete'
    if (query.has('uploads')) return undefined
    if (query.has('list-type')) return 'list'
    // Path style: /bucket or /bucket/key.
    if (!/^\/[^/]+\/./.test(url.pathname)) return undefined
    return byMethod(method)
  },
  error(status, code) {
    const name = code === 'checksum' ? 'BadDigest' : (S3_CODES[status] ?? 'UnknownError')
    return {
      headers: { 'content-type': 'application/xml' },
      body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${name}</Code><Message>scripted fault</Message><RequestId>fault</RequestId></Error>`,
    }
  },
}

const GCS_REASONS: Readonly<Record<number, string>> = {
  400: 'invalid',
  401: 'authError',
  403: 'forbidden',
  404: 'notFound',
  409: 'conflict',
  412: 'conditionNotMet',
  416: 'requestedRangeNotSatisfiable',
  429: 'rateLimitExceeded',
  500: 'internalError',
  501: 'notImplemented',
  503: 'backendError',
}

export const gcsDialect: FaultDialect = {
  target({ method, url, headers }) {
    const query = url.searchParams
    if (url.pathname.includes('/upload/')) {
      if (query.get('uploadType') === 'multipart') return 'put'
      const range = String(headers['content-range'] ?? '')
      if (method !== 'PUT' || range === '') return undefined
      return range.endsWith('/*') ? 'part' : 'commit'
    }
    if (method === 'DELETE' && query.has('upload_id')) return undefined
    if (method === 'GET' && /\/o\/?$/.test(url.pathname)) return 'list'
    // XML interface: /bucket/name.
    if (!url.pathname.startsWith('/storage/')) return method === 'GET' ? 'get' : undefined
    if (!/\/o\/./.test(url.pathname)) return undefined
    if (method === 'GET') return query.get('alt') === 'media' ? 'get' : 'head'
    return method === 'DELETE' ? 'delete' : undefined
  },
  error(status, code) {
    const reason = code === 'checksum' ? 'invalid' : (GCS_REASONS[status] ?? 'unknown')
    const message =
      code === 'checksum' ? 'Provided CRC32C does not match the calculated one.' : 'scripted fault'
    return {
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: JSON.stringify({ error: { code: status, message, errors: [{ reason, message }] } }),
    }
  },
}

const AZURE_CODES: Readonly<Record<number, string>> = {
  400: 'InvalidInput',
  401: 'NoAuthenticationInformation',
  403: 'AuthorizationPermissionMismatch',
  404: 'BlobNotFound',
  409: 'OperationConflict',
  412: 'ConditionNotMet',
  416: 'InvalidRange',
  429: 'TooManyRequests',
  500: 'InternalError',
  501: 'NotImplemented',
  503: 'ServerBusy',
}

export const azureDialect: FaultDialect = {
  target({ method, url }) {
    const query = url.searchParams
    if (query.get('comp') === 'block') return 'part'
    if (query.get('comp') === 'blocklist') return method === 'PUT' ? 'commit' : undefined
    if (query.get('comp') === 'list') return 'list'
    if (query.has('restype') || query.has('comp')) return undefined
    return byMethod(method)
  },
  error(status, code) {
    const name = code === 'checksum' ? 'Md5Mismatch' : (AZURE_CODES[status] ?? 'UnknownError')
    return {
      headers: { 'content-type': 'application/xml', 'x-ms-error-code': name },
      body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${name}</Code><Message>scripted fault</Message></Error>`,
    }
  },
}

function byMethod(method: string): Exclude<FaultTarget, 'any'> | undefined {
  switch (method) {
    case 'PUT':
      return 'put'
    case 'GET':
      return 'get'
    case 'HEAD':
      return 'head'
    case 'DELETE':
      return 'delete'
    default:
      return undefined
  }
}
