import { randomUUID } from 'node:crypto'
import type { CompletedPart } from '@aws-sdk/client-s3'
import { type PutResult, StoreError, type Version } from '../../core/store/index.ts'
import { delay } from '../shared/delay.ts'
import type { PutPart } from '../shared/put-parts.ts'
import { notApplied, uploadParts } from '../shared/upload-parts.ts'
import { objectName } from './s3-client.ts'
import { mapS3Error } from './s3-errors.ts'
import { conditionally, mapPutError, putMetadata, readBack, type S3Put } from './s3-put.ts'

/** S3's limit on the parts of one upload. */
export const MAX_PARTS = 10_000
const BEGIN_GRACE_MS = 300
const ABANDON_MS = 5000
const ABANDON_TRIES = 6
const ABANDON_PAUSE_MS = 30

interface Upload {
  readonly put: S3Put
  readonly target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string }
}

/**
 * Uploads a body in parts. Memory is bounded by the parts under way plus the one that is read.
 * An upload that does not complete is aborted, which frees its parts.
 */
export async function putMultipart(
  put: S3Put,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
  givenId: string | undefined,
): Promise<PutResult> {
  const writeId = givenId ?? randomUUID()
  const upload = await begin(put, writeId)
  let settled = false
  try {
    put.signal.throwIfAborted()
    const parts: CompletedPart[] = []
    const { bytes } = await uploadParts(
      {
        key: put.key,
        concurrency: put.connection.options.profile.partConcurrency,
        maxParts: MAX_PARTS,
        signal: put.signal,
        send: async (number, part, signal) => {
          const ETag = await sendPart(upload, number, part, signal)
          parts[number - 1] = { PartNumber: number, ETag }
        },
      },
      first,
      rest,
    )
    settled = true
    return await complete(upload, parts, writeId, bytes)
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
): Promise<string | undefined> {
  const { sdk, client } = put.connection
  try {
    const command = new sdk.UploadPartCommand({
      ...target,
      PartNumber: number,
      Body: bytes,
      ContentLength: bytes.length,
    })
    return (await client.send(command, { abortSignal })).ETag
  } catch (error) {
    throw mapPutError({ ...put, condition: {} }, error)
  }
}

/**
 * Opens an upload. An abort waits a moment for the answer, because an upload whose id nobody knows
 * can be removed by nobody.
 */
async function begin(put: S3Put, writeId: string): Promise<Upload> {
  const { sdk, client, options } = put.connection
  const object = { Bucket: options.bucket, Key: objectName(options, put.key) }
  const ended = new AbortController()
  const onAbort = () => {
    setTimeout(() => ended.abort(put.signal.reason), BEGIN_GRACE_MS)
  }
  put.signal.addEventListener('abort', onAbort, { once: true })
  try {
    const answer = await client.send(
      new sdk.CreateMultipartUploadCommand({ ...object, Metadata: putMetadata(put, writeId) }),
      { abortSignal: ended.signal },
    )
    return { put, target: { ...object, UploadId: answer.UploadId ?? '' } }
  } catch (error) {
    throw notApplied(mapPutError({ ...put, condition: {} }, error))
  } finally {
    put.signal.removeEventListener('abort', onAbort)
  }
}

/** Makes the object visible. A lost answer is decided by the write id in the object's metadata. */
async function complete(
  upload: Upload,
  parts: readonly CompletedPart[],
  writeId: string,
  bytes: number,
): Promise<PutResult> {
  const { put } = upload
  const { sdk, client } = put.connection
  try {
    const answer = await conditionally(put, (condition) =>
      client.send(
        new sdk.CompleteMultipartUploadCommand({
          ...upload.target,
          MultipartUpload: { Parts: [...parts] },
          ...condition,
        }),
        { abortSignal: put.signal },
      ),
    )
    return { size: bytes, version: answer.ETag as Version }
  } catch (error) {
    put.signal.throwIfAborted()
    const mapped = error as StoreError
    const vanished = (mapped.cause as { name?: string } | undefined)?.name === 'NoSuchUpload'
    if (mapped.outcome !== 'unknown' && !vanished) throw mapped
    const stored = await readBack(put).catch((failure: unknown) => {
      put.signal.throwIfAborted()
      throw undecided(put, error, failure)
    })
    if (stored?.writeId !== writeId) throw vanished ? undecided(put, error, undefined) : mapped
    return { size: stored.size, version: stored.version }
  }
}

/**
 * Aborts the upload; with several tries until the service knows it no more, because a part that was
 * under way when the first abort came may land after it (AWS says so of AbortMultipartUpload,
 * VersityGW does it). Best effort without the caller's signal: an abort is the usual reason to be here.
 */
async function abandon({ put, target }: Upload, tries: number): Promise<void> {
  const { sdk, client } = put.connection
  const abortSignal = AbortSignal.timeout(ABANDON_MS)
  for (let attempt = 1; attempt <= tries; attempt++) {
    try {
      await client.send(new sdk.AbortMultipartUploadCommand(target), { abortSignal })
    } catch (error) {
      const context = { op: 'put', key: put.key, bucket: target.Bucket }
      // NoSuchUpload is the good end. What cannot be aborted is left to the bucket's lifecycle rule:
      // the put's own error is what the caller must see.
      const gone = (error as { name?: string }).name === 'NoSuchUpload'
      if (gone || abortSignal.aborted || !mapS3Error(error, context).retryable) return
    }
    if (attempt < tries) await delay(ABANDON_PAUSE_MS * attempt, abortSignal).catch(() => {})
  }
}

function undecided(put: S3Put, error: unknown, failure: unknown): StoreError {
  const causes = [error, failure].filter((cause) => cause !== undefined)
  return new StoreError(
    'Unavailable',
    `Whether the upload of ${put.key} was completed is unknown.`,
    { op: 'put', key: put.key, outcome: 'unknown', cause: new AggregateError(causes) },
  )
}
