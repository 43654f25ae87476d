import { randomUUID } from 'node:crypto'
import { abortable } from '../../core/async/signals.ts'
import {
  type DriverBody,
  type DriverPutOptions,
  isStoreError,
  type PutResult,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { readText } from '../shared/http-transport.ts'
import { type PutPart, putParts } from '../shared/put-parts.ts'
import { notApplied, partBudget } from '../shared/upload-parts.ts'
import { type GcsClient, parseRecord } from './gcs-client.ts'
import { mapGcsError, notFromGcs } from './gcs-errors.ts'
import {
  assertResource,
  type GcsResource,
  RESOURCE_FIELDS,
  resourceMetadata,
} from './gcs-resource.ts'

/** Stores a body: in one request if it fits into one chunk, otherwise as a resumable upload. */
export async function putGcs(
  client: GcsClient,
  key: string,
  body: DriverBody,
  options: DriverPutOptions,
): Promise<PutResult> {
  const put: GcsPut = { client, key, options }
  const parts = putParts(body, client.options.partBytes)
  try {
    const first = await parts.next()
    // A body always has a first part, even if it is empty.
    const part = first.value as PutPart
    const resource = part.last
      ? await putOne(put, part.bytes)
      : await putResumable(put, part, parts)
    assertResource('put', key, resource)
    return { size: Number(resource.size), version: resource.generation as Version }
  } finally {
    await parts.return()
  }
}

/** @see https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects (multipart) */
async function putOne(put: GcsPut, bytes: Uint8Array): Promise<GcsResource> {
  const { client, options } = put
  const boundary = `walsync-${randomUUID()}`
  const head = `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(newResource(put))}\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`
  return await client.sendJson<GcsResource>({
    method: 'POST',
    path: `/upload${client.objectPath()}`,
    query: { uploadType: 'multipart', fields: RESOURCE_FIELDS, ...generationQuery(options) },
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)],
    signal: options.signal,
  })
}

interface Session {
  readonly put: GcsPut
  /** Path and query of the session, below the endpoint. */
  readonly path: string
}

/** The state of a session after a chunk: the finished object, or how many bytes it has. */
type Progress = { readonly done: GcsResource } | { readonly persisted: number }

const RESUME_INCOMPLETE = 308
/** GCS answers a cancelled session with this. */
const CANCELLED = 499
const SESSION_GONE = [404, 410]

/**
 * Uploads a body chunk by chunk into a session. If a chunk fails or its response is lost, the
 * session is asked how much has arrived, and the upload resumes there. An unfinished session is
 * cancelled, which frees its bytes.
 *
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
async function putResumable(
  put: GcsPut,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
): Promise<GcsResource> {
  const session = await begin(put)
  try {
    let offset = 0
    for (let part = first; ; ) {
      const done = await sendChunk(session, part, offset)
      if (done !== undefined) return done
      offset += part.bytes.length
      part = (await abortable(rest.next(), put.options.signal)).value as PutPart
    }
  } catch (error) {
    await cancel(session)
    throw error
  }
}

async function begin(put: GcsPut): Promise<Session> {
  const { client, options } = put
  const resource = newResource(put)
  try {
    const answer = await client.send({
      method: 'POST',
      path: `/upload${client.objectPath()}`,
      query: { uploadType: 'resumable', name: resource.name, ...generationQuery(options) },
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: [Buffer.from(JSON.stringify(resource))],
      signal: options.signal,
    })
    await readText(answer)
    // Keeps our host: an emulator or a private endpoint may return another one.
    const { location } = answer.headers
    if (location === undefined) {
      throw notFromGcs('put', `The response to the upload of ${put.key} has no session.`, put.key)
    }
    const { pathname, search } = new URL(location, client.options.endpoint)
    return { put, path: pathname + search }
  } catch (error) {
    throw notApplied(mapPutError(put, error))
  }
}

/** Sends one chunk until the session has all of it. Returns the object after the last chunk. */
async function sendChunk(
  session: Session,
  { bytes, last }: PutPart,
  offset: number,
): Promise<GcsResource | undefined> {
  const { put } = session
  const { signal } = put.options
  const budget = partBudget()
  const end = offset + bytes.length
  const total = last ? String(end) : '*'
  let sent = 0
  while (true) {
    let progress: Progress | undefined
    try {
      const from = offset + sent
      const range = from === end ? `bytes */${total}` : `bytes ${from}-${end - 1}/${total}`
      progress = await ask(session, range, bytes.subarray(sent))
    } catch (error) {
      signal.throwIfAborted()
      const mapped = mapPutError(put, error)
      const failure = last ? mapped : notApplied(mapped)
      // fake-gcs-server takes a status query for the end of the upload and stores what it has as the object.
      if (put.client.options.emulator) throw failure
      await budget.pause(failure, signal)
      progress = await status(session, total)
    }
    if (progress === undefined) continue
    if ('done' in progress) return wholeObject(put, progress.done, last ? end : undefined)
    if (progress.persisted < offset + sent || progress.persisted > end) {
      throw outOfStep(put, progress.persisted)
    }
    if (progress.persisted === end && !last) return undefined
    if (progress.persisted === offset + sent)
      await budget.pause(outOfStep(put, progress.persisted), signal)
    else budget.progress()
    sent = progress.persisted - offset
  }
}

/** If the object's size is not what was sent, the upload has failed, whatever the service says. */
function wholeObject(put: GcsPut, resource: GcsResource, size: number | undefined): GcsResource {
  if (size !== undefined && Number(resource.size) === size) return resource
  throw new StoreError(
    'Corrupted',
    `The upload of ${put.key} ended too early, after ${resource.size} bytes.`,
    { op: 'put', key: put.key, retryable: true, outcome: 'unknown' },
  )
}

/**
 * The state of the session; `undefined` if it cannot be determined, in which case the chunk is sent
 * again.
 */
async function status(session: Session, total: string): Promise<Progress | undefined> {
  try {
    return await ask(session, `bytes */${total}`, new Uint8Array(0))
  } catch (error) {
    session.put.options.signal.throwIfAborted()
    if (mapPutError(session.put, error).retryable) return undefined
    throw error
  }
}

async function ask({ put, path }: Session, range: string, bytes: Uint8Array): Promise<Progress> {
  const headers = { 'content-range': range }
  const request = { method: 'PUT', path, headers, body: [bytes], signal: put.options.signal }
  const answer = await put.client.send(request, [RESUME_INCOMPLETE, ...SESSION_GONE])
  const text = await readText(answer)
  if (SESSION_GONE.includes(answer.statusCode ?? 0)) throw sessionGone(put)
  if (answer.statusCode !== RESUME_INCOMPLETE) return { done: parseRecord(text) as GcsResource }
  const match = /^bytes=0-(\d+)$/.exec(String(answer.headers.range ?? ''))
  return { persisted: match === null ? 0 : Number(match[1]) + 1 }
}

/** Best effort, without the caller's signal: an abort is the usual reason for this call. */
async function cancel({ put, path }: Session): Promise<void> {
  try {
    const answer = await put.client.send(
      { method: 'DELETE', path, signal: AbortSignal.timeout(5000) },
      [CANCELLED],
    )
    answer.resume()
  } catch {
    // The caller must see the error of the put itself. A session expires after a week.
  }
}

/** A repeated put opens a new session. */
function sessionGone(put: GcsPut): StoreError {
  return new StoreError('Unavailable', `The upload session of ${put.key} is gone.`, {
    op: 'put',
    key: put.key,
    outcome: 'unknown',
  })
}

function outOfStep(put: GcsPut, persisted: number): StoreError {
  return new StoreError(
    'Unavailable',
    `The upload session of ${put.key} is stuck at byte ${persisted}.`,
    { op: 'put', key: put.key },
  )
}

/** One put in progress: what each of its requests needs. */
interface GcsPut {
  readonly client: GcsClient
  readonly key: string
  readonly options: DriverPutOptions
}

/** The object resource that an upload starts with. */
function newResource({ client, key, options }: GcsPut) {
  return {
    name: client.objectName(key),
    contentType: 'application/octet-stream',
    metadata: resourceMetadata(options),
  }
}

/** @see https://cloud.google.com/storage/docs/request-preconditions; generation 0 is "does not exist" */
function generationQuery({ ifAbsent, ifMatch }: DriverPutOptions): Record<string, string> {
  if (ifAbsent === true) return { ifGenerationMatch: '0' }
  return ifMatch === undefined ? {} : { ifGenerationMatch: ifMatch }
}

function mapPutError({ client, key, options }: GcsPut, error: unknown): StoreError {
  if (isStoreError(error)) return error
  const { ifAbsent, ifMatch } = options
  const condition = ifAbsent === true ? 'ifAbsent' : ifMatch === undefined ? undefined : 'ifMatch'
  return mapGcsError(error, { op: 'put', key, bucket: client.options.bucket, condition })
}
