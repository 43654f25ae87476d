import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

/** A page of 1,000 entries, each with all the metadata that a service allows, stays far below it. */
export const ANSWER_BYTES = 32 * 1024 * 1024
/** What an answer that is no success may say; the rest of it is left unread. */
export const ERROR_BYTES = 1024 * 1024
/** Slowest connection that is not given up, whatever its direction: 4 KB/s. */
const BYTES_PER_MS = 4

/**
 * The longest that one request may take as a whole, in milliseconds. The time-out of silence alone
 * lets an endpoint that sends a byte now and then hold a call for ever.
 *
 * @param bytes of an object that are sent or received
 */
export function requestMs(timeoutMs: number, bytes: number): number {
  return 2 * timeoutMs + bytes / BYTES_PER_MS
}

/**
 * The whole body of an answer that is no object. The text of an error is cut at its limit, because
 * its status counts, not its end.
 *
 * @throws AnswerTooLarge for a longer answer of a success
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
