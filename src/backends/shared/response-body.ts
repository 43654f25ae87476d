import type { Readable } from 'node:stream'
import { type CallScope, isStoreError, StoreError } from '../../core/store/index.ts'
import { HttpTimeout, requestMs } from './answer-bounds.ts'

export interface ResponseBody {
  readonly key: string
  readonly stream: Readable
  /** Bytes that must arrive; fewer or more is an error, never a short object. */
  readonly expected: number
  /** The caller's signal of the get. */
  readonly signal: AbortSignal | undefined
  /** Longest silence; with the bytes it gives the time for the whole body. */
  readonly timeoutMs: number
  mapError(error: unknown): StoreError
}

/** A body up to this size is taken off the connection at once, so that an unread one holds none. */
const EAGER_BYTES = 64 * 1024
/** A larger body that nobody begins to read gives its connection back after this time, in milliseconds. */
const UNREAD_MS = 10_000

/**
 * An answer's body as a single-use iterable. Leaving the loop early, an abort, a close of the store
 * and an error destroy the stream and so free the connection.
 *
 * The iteration throws `Corrupted` (retryable) if the bytes end short, the abort's reason, or what
 * `mapError` makes of a broken connection.
 */
export async function responseBody(
  scope: CallScope,
  body: ResponseBody,
): Promise<AsyncIterable<Uint8Array>> {
  const { key, stream, signal } = body
  // An unread stream that breaks must not crash the process; its reader gets the error.
  stream.on('error', () => {})
  const destroy = () => {
    stream.destroy()
  }
  signal?.addEventListener('abort', destroy, { once: true })
  stream.once('close', () => signal?.removeEventListener('abort', destroy))
  const call = { op: 'get', key, signal }
  if (body.expected <= EAGER_BYTES) {
    const taken = await take(body)
    return scope.iterate(call, () => replay(taken))
  }
  const unread = setTimeout(() => stream.destroy(unreadError(key)), UNREAD_MS).unref()
  stream.once('close', () => clearTimeout(unread))
  return scope.iterate(call, (linked) => {
    clearTimeout(unread)
    return readStream(body, linked)
  })
}

interface Taken {
  readonly chunks: readonly Uint8Array[]
  readonly error: unknown
}

/** The caller learns of a broken body where it reads it, whatever the size. */
async function take(body: ResponseBody): Promise<Taken> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of readStream(body, body.signal)) chunks.push(chunk)
    return { chunks, error: undefined }
  } catch (error) {
    return { chunks, error }
  }
}

async function* replay({ chunks, error }: Taken): AsyncGenerator<Uint8Array, void> {
  yield* chunks
  if (error !== undefined) throw error
}

async function* readStream(
  { key, stream, expected, timeoutMs, mapError }: ResponseBody,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const onAbort = () => {
    stream.destroy()
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  let received = 0
  try {
    for await (const chunk of waitedFor(stream, timeoutMs)) {
      received += chunk.length
      if (received > expected) break
      yield chunk
    }
  } catch (error) {
    throw isStoreError(error) ? error : mapError(error)
  } finally {
    signal?.removeEventListener('abort', onAbort)
    stream.destroy()
  }
  if (received === expected) return
  const message = `The body of ${key} ended after ${received} of ${expected} bytes.`
  throw new StoreError('Corrupted', message, { op: 'get', key, retryable: true })
}

/** Ends a body that only drips. The time that the reader takes between two chunks does not count. */
async function* waitedFor(stream: Readable, timeoutMs: number): AsyncGenerator<Uint8Array, void> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  let waitedMs = 0
  let received = 0
  while (true) {
    const from = performance.now()
    const allowedMs = requestMs(timeoutMs, received)
    const slow = () => {
      stream.destroy(new HttpTimeout(`${received} bytes came in ${Math.round(allowedMs)} ms`))
    }
    const timer = setTimeout(slow, Math.max(0, allowedMs - waitedMs))
    const step = await chunks.next().finally(() => clearTimeout(timer))
    if (step.done === true) return
    waitedMs += performance.now() - from
    received += step.value.length
    yield step.value
  }
}

function unreadError(key: string): StoreError {
  return new StoreError('Timeout', `The body of ${key} was not read for ${UNREAD_MS} ms.`, {
    op: 'get',
    key,
  })
}
