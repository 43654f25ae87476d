import type { Readable } from 'node:stream'
import type { DriverGetOptions, DriverGetResult, ObjectInfo } from '../../core/store/index.ts'
import { carriedRange, lengthMissing, rangeHeader } from '../shared/content-range.ts'
import { responseBody } from '../shared/response-body.ts'
import { responseVersion } from './etag-forms.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { createdAtOf, currentVersion } from './s3-write.ts'

/** Reads an object or a range of it. */
export async function getS3(
  connection: S3Connection,
  key: string,
  { range, ifMatch, signal }: DriverGetOptions,
): Promise<DriverGetResult> {
  const { sdk, client, options } = connection
  const send = (IfMatch?: string) => {
    const command = new sdk.GetObjectCommand({
      Bucket: options.bucket,
      Key: objectName(options, key),
      ...(range === undefined ? {} : { Range: rangeHeader(range.start, range.end) }),
      ...(IfMatch === undefined ? {} : { IfMatch }),
    })
    return client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw mapS3Error(error, { op: 'get', key, options })
    })
  }
  const current = () => currentVersion(connection, key, signal)
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
  const { timeoutMs } = options
  return {
    info: infoOf(key, { ...answer, ContentLength: size }, stream),
    range: { start, end },
    body: await responseBody({ stream, expected: end - start, signal, timeoutMs }),
  }
}

interface ObjectAnswer {
  readonly ContentLength?: number | undefined
  readonly LastModified?: Date | undefined
  readonly ETag?: string | undefined
  readonly Metadata?: Record<string, string> | undefined
}

function infoOf(key: string, answer: ObjectAnswer, stream: Readable): ObjectInfo {
  try {
    return objectInfo('get', key, answer)
  } catch (error) {
    stream.destroy()
    throw error
  }
}

/**
 * What HEAD and GET say about an object.
 *
 * @throws StoreError `Unavailable` for an answer without a length, or with neither an ETag nor a time
 */
export function objectInfo(op: string, key: string, answer: ObjectAnswer): ObjectInfo {
  const { ContentLength, LastModified } = answer
  if (ContentLength === undefined) throw lengthMissing(op, key)
  // A proxy may strip the ETag, and the object must be readable all the same; a web page has neither.
  const substitute = LastModified && `${LastModified.getTime()}-${ContentLength}`
  return {
    key,
    size: ContentLength,
    lastModified: LastModified ?? new Date(0),
    version: responseVersion(op, key, answer.ETag ?? substitute),
    createdAt: createdAtOf(answer.Metadata),
  }
}
