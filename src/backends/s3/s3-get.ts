import type { Readable } from 'node:stream'
import {
  type ByteRange,
  type CallScope,
  type GetOptions,
  type GetResult,
  type ObjectInfo,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { responseBody } from '../shared/response-body.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { createdAtOf, etag } from './s3-put.ts'

/** Reads an object or a range of it. */
export async function getS3(
  connection: S3Connection,
  scope: CallScope,
  key: string,
  { range, ifMatch, signal }: GetOptions,
): Promise<GetResult> {
  const { sdk, client, options } = connection
  const mapError = (error: unknown) => mapS3Error(error, { op: 'get', key, bucket: options.bucket })
  return await scope.run({ op: 'get', key, signal }, async (abortSignal) => {
    const command = new sdk.GetObjectCommand({
      Bucket: options.bucket,
      Key: objectName(options, key),
      ...(range === undefined ? {} : { Range: rangeHeader(range) }),
      ...(ifMatch === undefined ? {} : { IfMatch: etag(connection, ifMatch) }),
    })
    const answer = await client.send(command, { abortSignal }).catch((error: unknown) => {
      throw mapError(error)
    })
    const stream = answer.Body as Readable
    const carried = carriedRange(answer.ContentRange, answer.ContentLength ?? 0)
    if (range !== undefined && carried.start !== range.start) {
      stream.destroy()
      throw rangeIgnored(key)
    }
    const { start = 0, end, size } = carried
    return {
      info: objectInfo(key, { ...answer, ContentLength: size }),
      range: { start, end },
      body: await responseBody(scope, { key, stream, expected: end - start, signal, mapError }),
    }
  })
}

/** What HEAD and GET say of an object. */
export function objectInfo(
  key: string,
  answer: {
    readonly ContentLength?: number | undefined
    readonly LastModified?: Date | undefined
    readonly ETag?: string | undefined
    readonly Metadata?: Record<string, string> | undefined
  },
): ObjectInfo {
  return {
    key,
    size: answer.ContentLength ?? 0,
    lastModified: answer.LastModified ?? new Date(0),
    version: answer.ETag as Version,
    createdAt: createdAtOf(answer.Metadata),
  }
}

function rangeHeader({ start, end }: ByteRange): string {
  return `bytes=${start}-${end === undefined ? '' : end - 1}`
}

/** `bytes 0-9/100`: the last byte is inclusive. Without the header the body is the whole object. */
function carriedRange(
  header: string | undefined,
  contentLength: number,
): { start: number | undefined; end: number; size: number } {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header ?? '')
  if (match === null) return { start: undefined, end: contentLength, size: contentLength }
  return { start: Number(match[1]), end: Number(match[2]) + 1, size: Number(match[3]) }
}

function rangeIgnored(key: string): StoreError {
  return new StoreError(
    'Unsupported',
    `A range of ${key} was asked for and the service sent the whole object.`,
    { op: 'get', key, hint: 'Something between here and the service drops the Range header.' },
  )
}
