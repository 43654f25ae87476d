import type { PutBody, PutSource } from './object-store.ts'
import { pull } from './pull.ts'
import { StoreError } from './store-error.ts'

/** The declared length in bytes, if there is one. */
export function bodySize(body: PutBody): number | undefined {
  return body instanceof Uint8Array ? body.byteLength : body.size
}

/**
 * The bytes of one put, without empty chunks. A chunk is valid until the next one is asked for.
 * The source is closed (`return`) however the loop ends, also while it is stalled.
 *
 * @throws StoreError `InvalidArgument` if more or fewer bytes come than `size` says
 * @throws StoreError `Unknown` with the source's own error as `cause`
 * @throws the signal's reason
 */
export async function* readBody(
  body: PutBody,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted()
  if (body instanceof Uint8Array) {
    if (body.byteLength > 0) yield body
    return
  }
  const { size } = body
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) {
    throw invalid(key, `has the size ${size}, expected a whole number of bytes`)
  }
  let seen = 0
  for await (const chunk of readSource(body, key, signal)) {
    if (!(chunk instanceof Uint8Array)) throw invalid(key, 'yields something other than Uint8Array')
    seen += chunk.byteLength
    if (size !== undefined && seen > size) throw invalid(key, `yields more than its ${size} bytes`)
    if (chunk.byteLength > 0) yield chunk
  }
  if (size !== undefined && seen < size) {
    throw invalid(key, `ended after ${seen} of its ${size} bytes`)
  }
}

async function* readSource(
  source: PutSource,
  key: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const failed = (error: unknown) => {
    if (signal.aborted) return error
    const message = `The body of ${key} could not be read.`
    return new StoreError('Unknown', message, { op: 'put', key, cause: error })
  }
  let chunks: AsyncGenerator<Uint8Array>
  try {
    chunks = pull(source.open(), signal)
  } catch (error) {
    throw failed(error)
  }
  // Not `try { yield }`: an error of the consumer must not be taken for one of the source.
  let ended = false
  try {
    while (true) {
      const step = await chunks.next().catch((error: unknown) => {
        ended = true
        throw failed(error)
      })
      ended = step.done === true
      if (step.done === true) return
      yield step.value
    }
  } finally {
    if (!ended) await chunks.return(undefined)
  }
}

/** All bytes of a body in one array. For bodies that are known to be small. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk.slice())
  return joinChunks(chunks)
}

export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.byteLength
  }
  return all
}

function invalid(key: string, problem: string): StoreError {
  return new StoreError('InvalidArgument', `The body of ${key} ${problem}.`, { op: 'put', key })
}
