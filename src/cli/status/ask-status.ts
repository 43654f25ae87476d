import { connect } from 'node:net'
import type { StatusDocument } from './status-document.ts'

/** What came of asking at one socket. `nobody`: no process listens there (any more). */
export type StatusAnswer =
  | { readonly kind: 'answer'; readonly document: StatusDocument }
  | { readonly kind: 'nobody' }
  | { readonly kind: 'failed'; readonly error: Error }

/** A watcher answers within milliseconds; one that is stuck is reported and not waited for. */
const ANSWER_MS = 5000
const MAX_BYTES = 256 << 20

/** Asks one watcher what it is doing. */
export async function askStatus(path: string, signal: AbortSignal): Promise<StatusAnswer> {
  const timed = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
  try {
    const document = JSON.parse(await readAll(path, timed)) as { version?: unknown }
    if (document.version === 1) return { kind: 'answer', document: document as StatusDocument }
    const error = new Error(`it answers in format ${document.version}; this walsync reads 1`)
    return { kind: 'failed', error }
  } catch (cause) {
    signal.throwIfAborted()
    const error = cause as NodeJS.ErrnoException
    if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') return { kind: 'nobody' }
    const late = new Error(`no answer within ${ANSWER_MS} ms`)
    return { kind: 'failed', error: timed.aborted ? late : error }
  }
}

async function readAll(path: string, signal: AbortSignal): Promise<string> {
  const socket = connect(path)
  const end = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', end, { once: true })
  try {
    signal.throwIfAborted()
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_BYTES) throw new Error('its answer does not end')
    }
    return Buffer.concat(chunks).toString('utf8')
  } finally {
    signal.removeEventListener('abort', end)
    socket.destroy()
  }
}
