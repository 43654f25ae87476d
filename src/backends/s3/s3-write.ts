import type { DriverPutOptions, StoreError, Version } from '../../core/store/index.ts'
import { responseVersion } from './etag-forms.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'

/** One put in progress: what each of its requests needs. */
export interface S3Put {
  readonly connection: S3Connection
  readonly key: string
  readonly options: DriverPutOptions
}

/** Where Litestream reads an object's time on S3 (RFC 3339, UTC). */
const CREATED_AT = 'litestream-timestamp'

export function putMetadata({ createdAt }: DriverPutOptions): Record<string, string> {
  return createdAt === undefined ? {} : { [CREATED_AT]: createdAt.toISOString() }
}

export function createdAtOf(metadata: Record<string, string> | undefined): Date | undefined {
  const text = metadata?.[CREATED_AT]
  const time = text === undefined ? Number.NaN : Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time)
}

/**
 * Sends the request that makes a put visible, under the put's condition.
 *
 * @throws StoreError mapped from the SDK's error
 */
export async function conditionally<T>(
  put: S3Put,
  send: (condition: { IfNoneMatch?: '*'; IfMatch?: string }) => Promise<T>,
): Promise<T> {
  const attempt = (condition: Parameters<typeof send>[0]) =>
    send(condition).catch((error: unknown) => {
      throw mapPutError(put, error)
    })
  const { ifAbsent, ifMatch, signal } = put.options
  if (ifAbsent === true) return await attempt({ IfNoneMatch: '*' })
  if (ifMatch === undefined) return await attempt({})
  return await put.connection.etags.send({
    verb: 'put',
    version: ifMatch,
    send: (IfMatch) => attempt({ IfMatch }),
    current: () => currentVersion(put.connection, put.key, signal),
  })
}

export function mapPutError({ connection, key, options }: S3Put, error: unknown): StoreError {
  const { ifAbsent, ifMatch } = options
  const condition = ifAbsent === true ? 'ifAbsent' : ifMatch === undefined ? undefined : 'ifMatch'
  return mapS3Error(error, { op: 'put', key, options: connection.options, condition })
}

/** The current version of an object; `undefined` if it does not exist. */
export async function currentVersion(
  { sdk, client, options }: S3Connection,
  key: string,
  abortSignal: AbortSignal,
): Promise<Version | undefined> {
  const Key = objectName(options, key)
  const command = new sdk.HeadObjectCommand({ Bucket: options.bucket, Key })
  try {
    const { ETag } = await client.send(command, { abortSignal })
    return responseVersion('head', key, ETag)
  } catch (error) {
    const mapped = mapS3Error(error, { op: 'head', key, options })
    if (mapped.code === 'NotFound') return undefined
    throw mapped
  }
}
