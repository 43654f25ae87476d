import type { Readable } from 'node:stream'
import { HttpTimeout, requestMs } from './answer-bounds.ts'

export interface ResponseBody {
  readonly stream: Readable
  /** Number of bytes expected. No more are read; the store reports a difference. */
  readonly expected: number
  /** The signal of the get, which lives as long as the body does. */
  readonly signal: AbortSignal
  /**
   * Longest silence in milliseconds. Together with the number of bytes, it also limits the time for
   * the whole body.
   */
  readonly timeoutMs: number
}

/**
 * A body up to this size is read from the connection at once, so that an unread body does not hold
 * a connection.
 */
const EAGER_BYTES = 64 * 1024

/**
 * The body of a response, for `DriverGetResult`. Leaving the loop early, an error or an abort
 * destroys the stream, which frees the connection. A broken body throws when it is read, whatever
 * its size.
 */
export async function responseBody(
  body: ResponseBody,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const { stream, signal } = body
  // A stream that breaks before it is read must not crash the process; its reader will get the error.
  stream.on('error', () => {})
  const destroy = () => {
    stream.destroy()
  }
  signal.addEventListener('abort', destroy, { once: true })
  stream.once('close', () => signal.removeEventListener('abort', destroy))
  return body.expected <= EAGER_BYTES ? await take(body) : readStream(body)
}

async function take(body: ResponseBody): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of readStream(body)) chunks.push(chunk)
    return Buffer.concat(chunks)
  } catch (error) {
    return failing(chunks, error)
  }
}

async function* failing(
  chunks: readonly Uint8Array[],
  error: unknown,
): AsyncGenerator<Uint8Array, void> {
  yield* chunks
  throw error
}

async function* readStream({
  stream,
  expected,
  timeoutMs,
}: ResponseBody): AsyncGenerator<Uint8Array, void> {
  let received = 0
  try {
    for await (const chunk of timed(stream, timeoutMs)) {
      received += chunk.length
      yield chunk
      if (received > expected) return
    }
  } finally {
    stream.destroy()
  }
}

/**
 * Ends a body that arrives too slowly. The time that the reader takes between two chunks does not
 * count.
 */
async function* timed(stream: Readable, timeoutMs: number): AsyncGenerator<Uint8Array, void> {
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
