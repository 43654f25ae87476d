import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

/** A page of 1,000 entries with all the metadata that a service allows is far smaller. */
export const ANSWER_BYTES = 32 * 1024 * 1024
/** How much of an error response is read. */
export const ERROR_BYTES = 1024 * 1024
/** The slowest connection that is tolerated, in either direction: 4 KB/s. */
const BYTES_PER_MS = 4

/**
 * The longest that a request may take as a whole, in milliseconds. With a timeout for silence
 * alone, an endpoint that sends a byte now and then could hold a call forever.
 *
 * @param bytes bytes of an object that are sent or received
 */
export function requestMs(timeoutMs: number, bytes: number): number {
  return 2 * timeoutMs + bytes / BYTES_PER_MS
}

/**
 * The whole body of a response that is not an object. The text of an error is truncated at its
 * limit, because only its status matters.
 *
 * @throws AnswerTooLarge if a successful response is longer than the limit
 */
export async function readAnswer(stream: Readable): Promise<Buffer> {
  const failed = ((stream as IncomingMessage).statusCode ?? 200) >= 300
  const limit = failed ? ERROR_BYTES : ANSWER_BYTES
  const chunks: Buffer[] = []
  let left = limit
  // Leaving the loop destroys the stream, and with it the connection.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (chunk.length > left && !failed) throw new AnswerTooLarge(limit)
    chunks.push(chunk.length > left ? chunk.subarray(0, left) : chunk)
    left -= chunk.length
    if (left < 0) break
  }
  return Buffer.concat(chunks)
}

/** The other side was silent for too long, or took too long altogether. */
export class HttpTimeout extends Error {
  readonly code = 'ETIMEDOUT'

  constructor(message: string) {
    super(message)
    this.name = 'HttpTimeout'
  }
}

export class AnswerTooLarge extends Error {
  readonly code = 'ERR_HTTP_ANSWER_TOO_LARGE'

  constructor(limit: number) {
    super(`the answer is longer than ${limit} bytes`)
    this.name = 'AnswerTooLarge'
  }
}
