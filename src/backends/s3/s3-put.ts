import { setTimeout as delay } from 'node:timers/promises'
import type { CompletedPart } from '@aws-sdk/client-s3'
import {
  copyError,
  type DriverBody,
  type DriverPutOptions,
  isStoreError,
  type PutResult,
  StoreError,
} from '../../core/store/index.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import { notApplied, uploadParts } from '../shared/upload-parts.ts'
import { etagVersion, responseVersion } from './etag-forms.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { getS3 } from './s3-get.ts'
import { conditionally, mapPutError, putMetadata, type S3Put } from './s3-write.ts'

/** Stores a body: in one request if it fits into one part, otherwise in parts. */
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
    // A body always has a first part, even if it is empty.
    const part = first.value as PutPart
    return part.last ? await putOne(put, part.bytes) : await putMultipart(put, part, parts)
  } finally {
    await parts.return()
  }
}

/**
 * Parts are larger for a body that would otherwise need too many; a tenth of the limit is kept in
 * reserve.
 */
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
    if (answer.ETag === undefined) return await confirmStored(put, bytes)
    return { size: bytes.length, version: etagVersion(answer.ETag) }
  })
}

/**
 * Every S3 service answers a put with an ETag. A success without one may come from something in
 * front of the service, which has stored nothing: the bytes are read back.
 *
 * @throws StoreError `Unavailable` if they are not there
 */
async function confirmStored(put: S3Put, bytes: Uint8Array): Promise<PutResult> {
  const { connection, key, options } = put
  try {
    const { info, body } = await getS3(connection, key, { signal: options.signal })
    const chunks: Uint8Array[] = []
    if (body instanceof Uint8Array) chunks.push(body)
    else for await (const chunk of body) chunks.push(chunk)
    if (Buffer.concat(chunks).equals(bytes)) return { size: info.size, version: info.version }
  } catch (error) {
    if (!isStoreError(error)) throw error
    throw unconfirmed(key, error)
  }
  throw unconfirmed(key)
}

function unconfirmed(key: string, cause?: StoreError): StoreError {
  const message = `The put of ${key} was answered with a success, but the object is not there.`
  return new StoreError('Unavailable', message, {
    op: 'put',
    key,
    cause,
    outcome: 'unknown',
    hint: 'Check the endpoint, and what is between here and the service.',
  })
}

/** S3's limit on the parts of one upload. */
const MAX_PARTS = 10_000
const BEGIN_GRACE_MS = 300
const ABANDON_MS = 5000
const ABANDON_TRIES = 6
const ABANDON_PAUSE_MS = 30

interface Upload {
  readonly put: S3Put
  readonly target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string }
}

/**
 * Uploads a body in parts. Memory is bounded by the parts in flight plus the one being read. An
 * upload that is not completed is aborted, which frees its parts.
 */
async function putMultipart(
  put: S3Put,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
): Promise<PutResult> {
  const { signal } = put.options
  const upload = await begin(put)
  let settled = false
  try {
    signal.throwIfAborted()
    const parts: CompletedPart[] = []
    const { bytes } = await uploadParts(
      {
        key: put.key,
        concurrency: put.connection.options.profile.partConcurrency,
        maxParts: MAX_PARTS,
        signal,
        send: async (number, part, partSignal) => {
          const ETag = await sendPart(upload, number, part, partSignal)
          parts[number - 1] = { PartNumber: number, ETag }
        },
      },
      first,
      rest,
    )
    settled = true
    return await complete(upload, parts, bytes)
  } catch (error) {
    await abandon(upload, settled ? 1 : ABANDON_TRIES)
    throw error
  }
}

async function sendPart(
  { put, target }: Upload,
  number: number,
  bytes: Uint8Array,
  abortSignal: AbortSignal,
): Promise<string> {
  const { sdk, client } = put.connection
  try {
    const command = new sdk.UploadPartCommand({
      ...target,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
    })
    const { ETag } = await client.send(command, { abortSignal })
    if (ETag !== undefined) return ETag
  } catch (error) {
    throw mapPutError(unconditional(put), error)
  }
  throw partNotStored(put.key, number)
}

/** Something other than the service has answered, and the part may not be stored. */
function partNotStored(key: string, number: number): StoreError {
  return new StoreError('Unavailable', `The response to part ${number} of ${key} has no ETag.`, {
    op: 'put',
    key,
    hint: 'Check the endpoint, and what is between here and the service: every S3 service sends ETags.',
  })
}

/**
 * The condition is checked when the upload is completed, so other requests of it cannot violate it.
 */
function unconditional(put: S3Put): S3Put {
  return { ...put, options: { signal: put.options.signal } }
}

/**
 * Opens an upload. An abort waits a moment for the answer, because an upload whose id is unknown
 * cannot be removed.
 */
async function begin(put: S3Put): Promise<Upload> {
  const { signal } = put.options
  const { sdk, client, options } = put.connection
  const object = { Bucket: options.bucket, Key: objectName(options, put.key) }
  const ended = new AbortController()
  const onAbort = () => {
    setTimeout(() => ended.abort(signal.reason), BEGIN_GRACE_MS)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const answer = await client.send(
      new sdk.CreateMultipartUploadCommand({ ...object, Metadata: putMetadata(put.options) }),
      { abortSignal: ended.signal },
    )
    if (!answer.UploadId) throw noUploadId(put.key)
    return { put, target: { ...object, UploadId: answer.UploadId } }
  } catch (error) {
    throw notApplied(mapPutError(unconditional(put), error))
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Without an id the parts would be requests of another kind, which no service defines. */
function noUploadId(key: string): StoreError {
  return new StoreError('Unavailable', `The response to the upload of ${key} has no id.`, {
    op: 'put',
    key,
    hint: 'Check the endpoint, and what is between here and the service.',
  })
}

/** Makes the object visible. */
async function complete(
  { put, target }: Upload,
  parts: readonly CompletedPart[],
  bytes: number,
): Promise<PutResult> {
  const { sdk, client } = put.connection
  try {
    const answer = await conditionally(put, (condition) =>
      client.send(
        new sdk.CompleteMultipartUploadCommand({
          ...target,
          MultipartUpload: { Parts: [...parts] },
          ...condition,
        }),
        { abortSignal: put.options.signal },
      ),
    )
    return { size: bytes, version: responseVersion('put', put.key, answer.ETag) }
  } catch (error) {
    // Something between here and the service may have sent the request twice, and the first one won.
    const vanished = isStoreError(error) && isNoSuchUpload(error.cause)
    throw vanished ? copyError(error, { outcome: 'unknown' }) : error
  }
}

/**
 * Aborts the upload, repeatedly until the service no longer knows it: a part that was in flight
 * when the first abort arrived may be stored after it (AWS says so of AbortMultipartUpload,
 * VersityGW does so). Best effort, without the caller's signal: an abort is the usual reason for
 * this call.
 */
async function abandon({ put, target }: Upload, tries: number): Promise<void> {
  const { sdk, client, options } = put.connection
  const abortSignal = AbortSignal.timeout(ABANDON_MS)
  for (let attempt = 1; attempt <= tries; attempt++) {
    try {
      await client.send(new sdk.AbortMultipartUploadCommand(target), { abortSignal })
    } catch (error) {
      const context = { op: 'put', key: put.key, options }
      // NoSuchUpload is success. What cannot be aborted is left to the bucket's lifecycle rule, because the caller must see the error of the put itself.
      if (isNoSuchUpload(error) || abortSignal.aborted || !mapS3Error(error, context).retryable)
        return
    }
    if (attempt < tries) await delay(ABANDON_PAUSE_MS * attempt)
  }
}

function isNoSuchUpload(error: unknown): boolean {
  return (error as { name?: string } | undefined)?.name === 'NoSuchUpload'
}
