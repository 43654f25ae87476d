import { connect, type Socket } from 'node:net'
import { LineSplitter } from './line-splitter.ts'
import { ControlError, type ControlErrorCode, type Method, PROTOCOL_VERSION } from './protocol.ts'

/** The answer of a large fleet is long. */
const MAX_ANSWER_BYTES = 256 << 20

/** Nobody listens at this socket (any more). */
export class NobodyError extends Error {}

/**
 * Sends one request on a connection of its own, and returns its result.
 *
 * @throws NobodyError if no process listens there; ControlError that the watcher answered; Error if
 *   the answer is none; the reason of the signal
 */
export async function askControl(
  path: string,
  method: Method,
  params: object,
  signal: AbortSignal,
): Promise<object> {
  signal.throwIfAborted()
  const socket = connect(path)
  const abort = () => socket.destroy(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    socket.write(`${JSON.stringify({ v: PROTOCOL_VERSION, id: 1, method, params })}\n`)
    return readAnswer(await firstLine(socket))
  } catch (error) {
    signal.throwIfAborted()
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED' || code === 'ENOENT') throw new NobodyError()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}

async function firstLine(socket: Socket): Promise<string> {
  const splitter = new LineSplitter(MAX_ANSWER_BYTES)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    const lines = splitter.push(chunk)
    if (lines === undefined) throw new Error('its answer does not end')
    if (lines[0] !== undefined) return lines[0]
  }
  throw new Error('it closed the connection without an answer')
}

function readAnswer(line: string): object {
  let answer: { v?: unknown; result?: unknown; error?: { code?: unknown; message?: unknown } }
  try {
    answer = JSON.parse(line)
  } catch {
    throw new Error('its answer is not JSON')
  }
  if (answer?.v !== PROTOCOL_VERSION) {
    throw new Error(
      `it speaks version ${JSON.stringify(answer?.v) ?? 'none'} of the protocol; this walsync speaks ${PROTOCOL_VERSION}`,
    )
  }
  if (typeof answer.result === 'object' && answer.result !== null) return answer.result
  const { code, message } = answer.error ?? {}
  const { hint } = (answer.error ?? {}) as { hint?: string }
  throw new ControlError(code as ControlErrorCode, String(message), hint)
}
