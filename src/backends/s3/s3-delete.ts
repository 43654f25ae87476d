import type { _Error } from '@aws-sdk/client-s3'
import {
  type DeleteFailure,
  deleteEach,
  pull,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { keyError } from '../shared/is-key.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { readBack } from './s3-put.ts'

/** S3's limit on the keys of one batch. */
const BATCH_KEYS = 1000

/** Deletes in batches of 1,000; falls back to single deletes if the service refuses the batch as such. */
export async function* deleteManyS3(
  connection: S3Connection,
  keys: Iterable<string> | AsyncIterable<string>,
  signal: AbortSignal,
): AsyncGenerator<DeleteFailure, void> {
  let batch = new Set<string>()
  for await (const key of pull(keys, signal)) {
    const invalid = keyError(key, 'delete')
    if (invalid !== undefined) {
      yield { key, error: invalid }
      continue
    }
    batch.add(key)
    if (batch.size < BATCH_KEYS) continue
    yield* deleteBatch(connection, batch, signal)
    batch = new Set()
  }
  if (batch.size > 0) yield* deleteBatch(connection, batch, signal)
}

/** @throws StoreError mapped from the SDK's error */
export async function deleteOne(
  connection: S3Connection,
  key: string,
  ifMatch: Version | undefined,
  signal: AbortSignal,
): Promise<void> {
  const send = (etag?: string) => deleteIf(connection, key, etag, signal)
  if (ifMatch === undefined) return await send()
  const current = async () => (await readBack({ connection, key, signal }))?.version
  await connection.etags.send({ verb: 'delete', version: ifMatch, send, current })
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
    const condition = ifMatch === undefined ? undefined : ('ifMatch' as const)
    const context = { op: 'delete', key, bucket: options.bucket, write: true, condition }
    const mapped = mapS3Error(error, context)
    if (mapped.code !== 'NotFound') throw mapped
  }
}

async function* deleteBatch(
  connection: S3Connection,
  keys: ReadonlySet<string>,
  abortSignal: AbortSignal,
): AsyncGenerator<DeleteFailure, void> {
  const { sdk, client, options } = connection
  const Objects = Array.from(keys, (key) => ({ Key: objectName(options, key) }))
  const command = new sdk.DeleteObjectsCommand({
    Bucket: options.bucket,
    Delete: { Quiet: true, Objects },
  })
  try {
    const answer = await client.send(command, { abortSignal })
    yield* failuresOf(connection, answer.Errors ?? [])
  } catch (error) {
    abortSignal.throwIfAborted()
    const mapped = mapS3Error(error, { op: 'delete', bucket: options.bucket, write: true })
    // Some services want another integrity header, or know no batches.
    const noBatches = mapped.code === 'Unsupported' || mapped.code === 'InvalidArgument'
    if (noBatches) {
      yield* deleteEach(
        keys,
        (key) => deleteOne(connection, key, undefined, abortSignal),
        abortSignal,
      )
    } else {
      for (const key of keys) yield { key, error: forKey(mapped, key) }
    }
  }
}

/** A batch answers 200 also when keys in it failed. */
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

/** Errors inside a batch have a code and no status. */
function statusOf(code: string): number {
  if (code === 'AccessDenied' || code === 'AllAccessDisabled') return 403
  if (code === 'InternalError') return 500
  return code === 'ServiceUnavailable' ? 503 : 400
}

function forKey(error: StoreError, key: string): StoreError {
  return new StoreError(error.code, error.message, { ...error, cause: error, key })
}
