import { randomUUID } from 'node:crypto'
import {
  abortable,
  linkSignals,
  type PutResult,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { delay } from '../shared/delay.ts'
import type { PutPart } from '../shared/put-parts.ts'
import { objectName } from './s3-client.ts'
import { mapPutError, putCondition, putMetadata, readBack, type S3Put } from './s3-put.ts'

/** S3's limit on the parts of one upload. */
export const MAX_PARTS = 10_000
/** Tries of one part: the whole object must not go up again because one part of many failed. */
const PART_TRIES = 4
const PART_RETRY_MS = 200

interface Upload {
  readonly put: S3Put
  readonly id: string
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
  size: number | undefined,
  givenId: string | undefined,
): Promise<PutResult> {
  const writeId = givenId ?? randomUUID()
  const upload = await begin(put, writeId)
  try {
    const sent = await sendParts(upload, first, rest)
    return await complete(upload, sent, writeId, size)
  } catch (error) {
    await abandon(upload)
    throw error
  }
}

async function begin(put: S3Put, writeId: string): Promise<Upload> {
  const { sdk, client, options } = put.connection
  const object = { Bucket: options.bucket, Key: objectName(options, put.key) }
  try {
    const answer = await client.send(
      new sdk.CreateMultipartUploadCommand({ ...object, Metadata: putMetadata(put, writeId) }),
      { abortSignal: put.signal },
    )
    const id = answer.UploadId ?? ''
    return { put, id, target: { ...object, UploadId: id } }
  } catch (error) {
    const mapped = mapPutError({ ...put, condition: {} }, error)
    // Beginning an upload changes no object.
    throw new StoreError(mapped.code, mapped.message, {
      ...mapped,
      cause: mapped.cause,
      outcome: 'not-applied',
    })
  }
}

interface SentPart {
  readonly PartNumber: number
  readonly ETag: string | undefined
}

interface SentParts {
  readonly parts: readonly SentPart[]
  readonly bytes: number
}

async function sendParts(
  upload: Upload,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
): Promise<SentParts> {
  const { put } = upload
  const parts: SentPart[] = []
  const running = new Set<Promise<void>>()
  const failed = new AbortController()
  const link = linkSignals(put.signal, failed.signal)
  const { signal } = link
  let bytes = 0
  const start = (part: PutPart) => {
    const number = parts.length + 1
    if (number > MAX_PARTS) throw tooBig(put, bytes)
    parts.push({ PartNumber: number, ETag: undefined })
    bytes += part.bytes.length
    const task = sendPart(upload, number, part.bytes, signal).then(
      (ETag) => {
        parts[number - 1] = { PartNumber: number, ETag }
      },
      (error: unknown) => failed.abort(error),
    )
    running.add(task)
    void task.then(() => running.delete(task))
  }
  try {
    for (let part: PutPart | undefined = first; part !== undefined; ) {
      start(part)
      if (running.size >= put.connection.options.profile.partConcurrency)
        await Promise.race(running)
      signal.throwIfAborted()
      part = part.last ? undefined : ((await abortable(rest.next(), signal)).value as PutPart)
    }
    await Promise.all(running)
    signal.throwIfAborted()
    return { parts, bytes }
  } catch (error) {
    failed.abort(error)
    await Promise.all(running)
    throw error
  } finally {
    link.release()
  }
}

async function sendPart(
  upload: Upload,
  number: number,
  bytes: Uint8Array,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { sdk, client } = upload.put.connection
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await client.send(
        new sdk.UploadPartCommand({
          ...upload.target,
          PartNumber: number,
          Body: bytes,
          ContentLength: bytes.length,
        }),
        { abortSignal: signal },
      )
      return answer.ETag
    } catch (error) {
      signal.throwIfAborted()
      const mapped = mapPutError({ ...upload.put, condition: {} }, error)
      if (attempt === PART_TRIES || !mapped.retryable) throw notApplied(mapped)
      const pause = mapped.retryAfterMs ?? Math.random() * PART_RETRY_MS * 2 ** attempt
      await delay(pause, signal)
    }
  }
}

/** Makes the object visible. A lost answer is decided by the write id in the object's metadata. */
async function complete(
  upload: Upload,
  sent: SentParts,
  writeId: string,
  size: number | undefined,
): Promise<PutResult> {
  const { put } = upload
  const { sdk, client } = put.connection
  try {
    const answer = await client.send(
      new sdk.CompleteMultipartUploadCommand({
        ...upload.target,
        MultipartUpload: { Parts: [...sent.parts] },
        ...putCondition(put),
      }),
      { abortSignal: put.signal },
    )
    return { size: size ?? sent.bytes, version: answer.ETag as Version }
  } catch (error) {
    put.signal.throwIfAborted()
    const mapped = mapPutError(put, error)
    const vanished = (error as { name?: string }).name === 'NoSuchUpload'
    if (mapped.outcome !== 'unknown' && !vanished) throw mapped
    const stored = await readBack(put).catch((failure: unknown) => {
      put.signal.throwIfAborted()
      throw undecided(put, error, failure)
    })
    if (stored?.writeId !== writeId) throw vanished ? undecided(put, error, undefined) : mapped
    return { size: stored.size, version: stored.version }
  }
}

/** Best effort without the caller's signal: an abort is the usual reason to be here. */
async function abandon(upload: Upload): Promise<void> {
  const { sdk, client } = upload.put.connection
  try {
    await client.send(new sdk.AbortMultipartUploadCommand(upload.target), {
      abortSignal: AbortSignal.timeout(5000),
    })
  } catch {
    // The put's own error is what the caller must see; the bucket's lifecycle rule removes what is left.
  }
}

function notApplied(error: StoreError): StoreError {
  return new StoreError(error.code, error.message, {
    ...error,
    cause: error.cause,
    outcome: 'not-applied',
  })
}

function undecided(put: S3Put, error: unknown, failure: unknown): StoreError {
  const causes = [error, failure].filter((cause) => cause !== undefined)
  return new StoreError(
    'Unavailable',
    `Whether the upload of ${put.key} was completed is unknown.`,
    { op: 'put', key: put.key, outcome: 'unknown', cause: new AggregateError(causes) },
  )
}

function tooBig(put: S3Put, bytes: number): StoreError {
  return new StoreError(
    'InvalidArgument',
    `${put.key} has more than ${MAX_PARTS} parts (${bytes} bytes so far).`,
    { op: 'put', key: put.key, hint: 'Give the size of the source, or a larger partBytes.' },
  )
}
