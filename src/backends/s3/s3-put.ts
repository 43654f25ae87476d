import type { DriverBody, DriverPutOptions, PutResult, Version } from '../../core/store/index.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { MAX_PARTS, putMultipart } from './s3-multipart.ts'
import { conditionally, putMetadata, type S3Put } from './s3-write.ts'

/** Stores a body in one request if it fits into one part, in parts otherwise. */
export async function putS3(
  connection: S3Connection,
  key: string,
  body: DriverBody,
  options: DriverPutOptions,
): Promise<PutResult> {
  const put: S3Put = { connection, key, options }
  const parts = putParts(body, partBytesFor(connection, body.size))
  try {
    const first = await parts.next()
    // A body always has a first part, if only an empty one.
    const part = first.value as PutPart
    return part.last ? await putOne(put, part.bytes) : await putMultipart(put, part, parts)
  } finally {
    await parts.return()
  }
}

/** Parts grow for a body that would need too many of them; a tenth of the limit is kept in reserve. */
function partBytesFor({ options }: S3Connection, size = 0): number {
  return Math.max(options.partBytes, Math.ceil(size / (MAX_PARTS * 0.9)))
}

async function putOne(put: S3Put, bytes: Uint8Array): Promise<PutResult> {
  const { sdk, client, options } = put.connection
  return await conditionally(put, async (condition) => {
    const answer = await client.send(
      new sdk.PutObjectCommand({
        Bucket: options.bucket,
        Key: objectName(options, put.key),
        Body: bytes,
        ContentLength: bytes.length,
        Metadata: putMetadata(put.options),
        ...condition,
      }),
      { abortSignal: put.options.signal },
    )
    return { size: bytes.length, version: answer.ETag as Version }
  })
}
