import type { Readable } from 'node:stream'
import type {
  CallScope,
  GetOptions,
  GetResult,
  ObjectInfo,
  Version,
} from '../../core/store/index.ts'
import { carriedRange, rangeHeader } from '../shared/content-range.ts'
import { responseBody } from '../shared/response-body.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { createdAtOf, readBack } from './s3-put.ts'

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
    const send = (IfMatch?: string) => {
      const command = new sdk.GetObjectCommand({
        Bucket: options.bucket,
        Key: objectName(options, key),
        ...(range === undefined ? {} : { Range: rangeHeader(range.start, range.end) }),
        ...(IfMatch === undefined ? {} : { IfMatch }),
      })
      return client.send(command, { abortSignal }).catch((error: unknown) => {
        throw mapError(error)
      })
    }
    const current = async () => (await readBack({ connection, key, signal: abortSignal }))?.version
    const answer =
      ifMatch === undefined
        ? await send()
        : await connection.etags.send({ verb: 'get', version: ifMatch, send, current })
    const stream = answer.Body as Readable
    const { start, end, size } = carriedRange(
      key,
      range?.start,
      answer.ContentRange,
      answer.ContentLength,
      stream,
    )
    return {
      info: objectInfo(key, { ...answer, ContentLength: size }),
      range: { start, end },
      body: await responseBody(scope, {
        key,
        stream,
        expected: end - start,
        signal,
        timeoutMs: options.timeoutMs,
        mapError,
      }),
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
