import type { _Error } from '@aws-sdk/client-s3'
import { type DeleteFailure, type DriverDeleteOptions, deleteEach } from '../../core/store/index.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { currentVersion } from './s3-write.ts'

/** @throws StoreError mapped from the SDK's error */
export async function deleteOne(
  connection: S3Connection,
  key: string,
  { ifMatch, signal }: DriverDeleteOptions,
): Promise<void> {
  const send = (etag?: string) => deleteIf(connection, key, etag, signal)
  if (ifMatch === undefined) return await send()
  const current = () => currentVersion(connection, key, signal)
  await connection.etags.send({ verb: 'delete', version: ifMatch, send, current })
}

/**
 * Deletes up to 1,000 keys in one request, or one by one if the service refuses the batch as such.
 */
export async function deleteBatch(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<readonly DeleteFailure[]> {
  const { sdk, client, options } = connection
  const Objects = keys.map((key) => ({ Key: objectName(options, key) }))
  const command = new sdk.DeleteObjectsCommand({
    Bucket: options.bucket,
    Delete: { Quiet: true, Objects },
  })
  try {
    const answer = await client.send(command, { abortSignal: signal })
    return failuresOf(connection, answer.Errors ?? [])
  } catch (error) {
    signal.throwIfAborted()
    const mapped = mapS3Error(error, { op: 'delete', bucket: options.bucket })
    // Some services require another integrity header, or do not support batches.
    const noBatches = mapped.code === 'Unsupported' || mapped.code === 'InvalidArgument'
    if (!noBatches) throw mapped
    return await deleteEach(keys, (key) => deleteOne(connection, key, { signal }), signal)
  }
}

async function deleteIf(
  { sdk, client, options }: S3Connection,
  key: string,
  ifMatch: string | undefined,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await client.send(
      new sdk.DeleteObjectCommand({
        Bucket: options.bucket,
        Key: objectName(options, key),
        ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
      }),
      { abortSignal },
    )
  } catch (error) {
    const condition = ifMatch === undefined ? undefined : 'ifMatch'
    const mapped = mapS3Error(error, { op: 'delete', key, bucket: options.bucket, condition })
    if (mapped.code !== 'NotFound') throw mapped
  }
}

/** A batch is answered with 200 even if keys in it failed. */
function failuresOf(connection: S3Connection, errors: readonly _Error[]): DeleteFailure[] {
  const { options } = connection
  const rootLength = objectName(options, '').length
  return errors
    .filter(({ Code }) => Code !== 'NoSuchKey')
    .map(({ Key = '', Code = '', Message = '' }) => {
      const key = Key.slice(rootLength)
      const cause = Object.assign(new Error(Message), {
        name: Code,
        Code,
        $metadata: { httpStatusCode: statusOf(Code) },
      })
      return { key, error: mapS3Error(cause, { op: 'delete', key, bucket: options.bucket }) }
    })
}

/** Errors inside a batch have a code but no status. */
function statusOf(code: string): number {
  if (code === 'AccessDenied' || code === 'AllAccessDisabled') return 403
  if (code === 'InternalError') return 500
  return code === 'ServiceUnavailable' ? 503 : 400
}
