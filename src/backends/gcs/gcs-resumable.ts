import { abortable, StoreError } from '../../core/store/index.ts'
import { delay } from '../shared/delay.ts'
import { readText } from '../shared/http-transport.ts'
import type { PutPart } from '../shared/put-parts.ts'
import { notApplied } from '../shared/upload-parts.ts'
import { type GcsPut, generationQuery, mapPutError } from './gcs-put.ts'
import { type GcsResource, resourceMetadata } from './gcs-resource.ts'

interface Session {
  readonly put: GcsPut
  /** Path and query of the session, below the endpoint. */
  readonly path: string
}

/** What the session says after a chunk: the finished object, or how many bytes it has. */
type Progress = { readonly done: GcsResource } | { readonly persisted: number }

const RESUME_INCOMPLETE = 308
/** GCS answers a cancelled session with this. */
const CANCELLED = 499
const SESSION_GONE = [404, 410]
const CHUNK_TRIES = 4
const CHUNK_RETRY_MS = 100

/**
 * Uploads a body chunk by chunk into a session. A chunk that fails is continued where the session
 * says it stopped; a lost answer to the last one is found out from the session too. A session that
 * does not finish is cancelled, which frees its bytes.
 *
 * @see https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
export async function putResumable(
  put: GcsPut,
  first: PutPart,
  rest: AsyncIterator<PutPart, void>,
  writeId: string | undefined,
): Promise<GcsResource> {
  const session = await begin(put, writeId)
  try {
    let offset = 0
    for (let part = first; ; ) {
      const done = await sendChunk(session, part, offset)
      if (done !== undefined) return done
      offset += part.bytes.length
      part = (await abortable(rest.next(), put.signal)).value as PutPart
    }
  } catch (error) {
    await cancel(session)
    throw error
  }
}

async function begin(put: GcsPut, writeId: string | undefined): Promise<Session> {
  const { client, key, options, signal } = put
  const name = client.objectName(key)
  const resource = {
    name,
    contentType: 'application/octet-stream',
    metadata: resourceMetadata(options, writeId),
  }
  try {
    const answer = await client.send({
      method: 'POST',
      path: `/upload${client.objectPath()}`,
      query: { uploadType: 'resumable', name, ...generationQuery(options) },
      headers: { 'content-type': 'application/json; charset=UTF-8' },
      body: [Buffer.from(JSON.stringify(resource))],
      signal,
    })
    await readText(answer)
    // The host stays ours: an emulator or a private endpoint may name another one.
    const { pathname, search } = new URL(answer.headers.location ?? '', client.options.endpoint)
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
  const end = offset + bytes.length
  const total = last ? String(end) : '*'
  let sent = 0
  for (let attempt = 1; ; attempt++) {
    let progress: Progress | undefined
    try {
      const from = offset + sent
      const range = from === end ? `bytes */${total}` : `bytes ${from}-${end - 1}/${total}`
      progress = await ask(session, range, bytes.subarray(sent))
    } catch (error) {
      put.signal.throwIfAborted()
      const mapped = mapPutError(put, error)
      // fake-gcs-server takes a question for the end of the upload, and keeps what it has as the object.
      const final = attempt === CHUNK_TRIES || put.client.options.emulator || !mapped.retryable
      if (final) throw last ? mapped : notApplied(mapped)
      await delay(mapped.retryAfterMs ?? Math.random() * CHUNK_RETRY_MS * 2 ** attempt, put.signal)
      progress = await status(session, total)
    }
    if (progress === undefined) continue
    if ('done' in progress) return wholeObject(put, progress.done, last ? end : undefined)
    if (progress.persisted < offset + sent || progress.persisted > end) {
      throw outOfStep(put, progress.persisted)
    }
    if (progress.persisted === end && !last) return undefined
    if (attempt === CHUNK_TRIES) throw outOfStep(put, progress.persisted)
    sent = progress.persisted - offset
  }
}

/** An object of another size than what was sent is no success, whatever the service thinks of it. */
function wholeObject(put: GcsPut, resource: GcsResource, size: number | undefined): GcsResource {
  if (size !== undefined && Number(resource.size) === size) return resource
  throw new StoreError(
    'Corrupted',
    `The upload of ${put.key} ended with ${resource.size} bytes, too early.`,
    { op: 'put', key: put.key, retryable: true, outcome: 'unknown' },
  )
}

/** What the session has; `undefined` if it cannot say, and the chunk is sent again. */
async function status(session: Session, total: string): Promise<Progress | undefined> {
  try {
    return await ask(session, `bytes */${total}`, new Uint8Array(0))
  } catch (error) {
    session.put.signal.throwIfAborted()
    if (mapPutError(session.put, error).retryable) return undefined
    throw error
  }
}

async function ask({ put, path }: Session, range: string, bytes: Uint8Array): Promise<Progress> {
  const headers = { 'content-range': range }
  const request = { method: 'PUT', path, headers, body: [bytes], signal: put.signal }
  const answer = await put.client.send(request, [RESUME_INCOMPLETE, ...SESSION_GONE])
  const text = await readText(answer)
  if (SESSION_GONE.includes(answer.statusCode ?? 0)) throw sessionGone(put)
  if (answer.statusCode !== RESUME_INCOMPLETE) return { done: JSON.parse(text) as GcsResource }
  const match = /^bytes=0-(\d+)$/.exec(String(answer.headers.range ?? ''))
  return { persisted: match === null ? 0 : Number(match[1]) + 1 }
}

/** Best effort without the caller's signal: an abort is the usual reason to be here. */
async function cancel({ put, path }: Session): Promise<void> {
  try {
    const answer = await put.client.send(
      { method: 'DELETE', path, signal: AbortSignal.timeout(5000) },
      [CANCELLED],
    )
    answer.resume()
  } catch {
    // The put's own error is what the caller must see; a session ends by itself after a week.
  }
}

/** Not retried here, as the chunk cannot go anywhere; a repeated put opens a new session. */
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
