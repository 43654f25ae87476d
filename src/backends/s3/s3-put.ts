import {
  bodySize,
  type Precondition,
  type PutBody,
  type PutOptions,
  type PutResult,
  type Version,
} from '../../core/store/index.ts'
import type { ConditionalWrites, StoredWrite } from '../shared/conditional-write.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { MAX_PARTS, putMultipart } from './s3-multipart.ts'

/** One put on its way: what each of its requests needs. */
export interface S3Put {
  readonly connection: S3Connection
  readonly key: string
  readonly condition: Precondition
  readonly createdAt: Date | undefined
  readonly signal: AbortSignal
}

/** User metadata of a write that is read back after a lost answer. */
const WRITE_ID = 'walsync-write-id'
/** Where Litestream reads an object's time on S3 (RFC 3339, UTC). */
const CREATED_AT = 'litestream-timestamp'

/** Stores a body in one request if it fits into one part, in parts otherwise. */
export async function putS3(
  connection: S3Connection,
  writes: ConditionalWrites,
  key: string,
  body: PutBody,
  options: PutOptions,
  signal: AbortSignal,
): Promise<PutResult> {
  const condition = conditionOf(options)
  const put: S3Put = { connection, key, condition, createdAt: options.createdAt, signal }
  if (condition.ifAbsent === undefined && condition.ifMatch === undefined) {
    return await sendBody(put, body, undefined)
  }
  return await writes.write({
    key,
    body,
    condition,
    signal,
    send: (writeId) => sendBody(put, body, writeId),
    readBack: () => readBack(put),
  })
}

function conditionOf({ ifAbsent, ifMatch }: PutOptions): Precondition {
  if (ifAbsent === true) return { ifAbsent }
  return ifMatch === undefined ? {} : { ifMatch }
}

async function sendBody(
  put: S3Put,
  body: PutBody,
  writeId: string | undefined,
): Promise<PutResult> {
  const size = bodySize(body)
  const parts = putParts(put.key, body, partBytesFor(put.connection, size), put.signal)
  try {
    const first = await parts.next()
    // A body always has a first part, if only an empty one.
    const part = first.value as PutPart
    if (part.last) return await putOne(put, part.bytes, writeId)
    return await putMultipart(put, part, parts, writeId)
  } finally {
    await parts.return()
  }
}

/** Parts grow for a body that would need too many of them; a tenth of the limit is kept in reserve. */
function partBytesFor({ options }: S3Connection, size = 0): number {
  return Math.max(options.partBytes, Math.ceil(size / (MAX_PARTS * 0.9)))
}

async function putOne(
  put: S3Put,
  bytes: Uint8Array,
  writeId: string | undefined,
): Promise<PutResult> {
  const { sdk, client, options } = put.connection
  return await conditionally(put, async (condition) => {
    const answer = await client.send(
      new sdk.PutObjectCommand({
        Bucket: options.bucket,
        Key: objectName(options, put.key),
        Body: bytes,
        ContentLength: bytes.length,
        Metadata: putMetadata(put, writeId),
        ...condition,
      }),
      { abortSignal: put.signal },
    )
    return { size: bytes.length, version: answer.ETag as Version }
  })
}

export function putMetadata(put: S3Put, writeId: string | undefined): Record<string, string> {
  return {
    ...(writeId === undefined ? {} : { [WRITE_ID]: writeId }),
    ...(put.createdAt === undefined ? {} : { [CREATED_AT]: put.createdAt.toISOString() }),
  }
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
  const { ifAbsent, ifMatch } = put.condition
  if (ifAbsent === true) return await attempt({ IfNoneMatch: '*' })
  if (ifMatch === undefined) return await attempt({})
  return await put.connection.etags.send({
    verb: 'put',
    version: ifMatch,
    send: (IfMatch) => attempt({ IfMatch }),
    current: async () => (await readBack(put))?.version,
  })
}

export function mapPutError(put: S3Put, error: unknown) {
  const condition =
    put.condition.ifAbsent === true
      ? ('ifAbsent' as const)
      : put.condition.ifMatch === undefined
        ? undefined
        : ('ifMatch' as const)
  return mapS3Error(error, {
    op: 'put',
    key: put.key,
    bucket: put.connection.options.bucket,
    write: true,
    condition,
  })
}

export async function readBack({
  connection,
  key,
  signal: abortSignal,
}: Pick<S3Put, 'connection' | 'key' | 'signal'>): Promise<StoredWrite | undefined> {
  const { sdk, client, options } = connection
  try {
    const answer = await client.send(
      new sdk.HeadObjectCommand({ Bucket: options.bucket, Key: objectName(options, key) }),
      { abortSignal },
    )
    return {
      size: answer.ContentLength ?? 0,
      version: answer.ETag as Version,
      writeId: answer.Metadata?.[WRITE_ID],
    }
  } catch (error) {
    const mapped = mapS3Error(error, { op: 'head', key, bucket: options.bucket })
    if (mapped.code === 'NotFound') return undefined
    throw mapped
  }
}
