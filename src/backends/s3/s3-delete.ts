import type { _Error, DeleteObjectsCommandOutput } from '@aws-sdk/client-s3'
import {
  type DeleteFailure,
  type DriverDeleteOptions,
  deleteEach,
  StoreError,
} from '../../core/store/index.ts'
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
 * The answer must name each key: a web page with a success names none, and has deleted nothing.
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
    Delete: { Quiet: false, Objects },
  })
  const one = (key: string) => deleteOne(connection, key, { signal })
  let answer: DeleteObjectsCommandOutput
  try {
    answer = await client.send(command, { abortSignal: signal })
  } catch (error) {
    signal.throwIfAborted()
    const mapped = mapS3Error(error, { op: 'delete', options })
    // Some services require another integrity header, or do not support batches.
    const noBatches = mapped.code === 'Unsupported' || mapped.code === 'InvalidArgument'
    if (!noBatches) throw mapped
    return await deleteEach(keys, one, signal)
  }
  const { Deleted = [], Errors = [] } = answer
  const named = new Set([...Deleted, ...Errors].map(({ Key }) => Key))
  const unnamed = keys.filter((key) => !named.has(objectName(options, key)))
  const [first] = unnamed
  // If no key is named, one request shows whether the service answers at all.
  if (first !== undefined && unnamed.length === keys.length) await one(first)
  return [...failuresOf(connection, Errors), ...(await deleteEach(unnamed, one, signal))]
}

/** How S3 answers a delete, whether or not the object existed. */
const NO_CONTENT = 204

async function deleteIf(
  connection: S3Connection,
  key: string,
  ifMatch: string | undefined,
  abortSignal: AbortSignal,
): Promise<void> {
  const { sdk, client, options } = connection
  try {
    const { $metadata } = await client.send(
      new sdk.DeleteObjectCommand({
        Bucket: options.bucket,
        Key: objectName(options, key),
        ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }),
      }),
      { abortSignal },
    )
    if ($metadata.httpStatusCode !== NO_CONTENT) await confirmDeleted(connection, key, abortSignal)
  } catch (error) {
    const condition = ifMatch === undefined ? undefined : 'ifMatch'
    const mapped = mapS3Error(error, { op: 'delete', key, options, condition })
    if (mapped.code !== 'NotFound') throw mapped
  }
}

/**
 * Another success than 204 may come from something in front of the service, which has deleted
 * nothing.
 *
 * @throws StoreError `Unavailable` if the object is still there
 */
async function confirmDeleted(
  connection: S3Connection,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if ((await currentVersion(connection, key, signal)) === undefined) return
  const message = `The delete of ${key} was answered with a success, but the object is still there.`
  throw new StoreError('Unavailable', message, {
    op: 'delete',
    key,
    outcome: 'unknown',
    hint: 'Check the endpoint, and what is between here and the service.',
  })
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
      return { key, error: mapS3Error(cause, { op: 'delete', key, options }) }
    })
}

/** Errors inside a batch have a code but no status. */
function statusOf(code: string): number {
  if (code === 'AccessDenied' || code === 'AllAccessDisabled') return 403
  if (code === 'InternalError') return 500
  return code === 'ServiceUnavailable' ? 503 : 400
}
