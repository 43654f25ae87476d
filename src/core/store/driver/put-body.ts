import { pull } from '../../async/pull.ts'
import type { PutBody, PutSource } from '../object-store.ts'
import { StoreError } from '../store-error.ts'
import type { DriverBody } from './store-driver.ts'

export interface PutBounds {
  readonly key: string
  /** A put of more bytes than this fails. */
  readonly maxObjectBytes: number
  readonly signal: AbortSignal
}

/**
 * The body of a put as a driver sees it. Each loop over it opens the source again, and closes it
 * (`return`) however the loop ends, even if the source is stalled.
 *
 * @throws StoreError `InvalidArgument` for an impossible size, at once; during iteration, if more
 *   or fewer bytes arrive than `size` says, or more than the store accepts
 * @throws StoreError `Unknown` with the source's own error as `cause`
 * @throws the signal's reason
 */
export function putBody(body: PutBody, bounds: PutBounds): DriverBody {
  const { key, maxObjectBytes } = bounds
  const bytes = body instanceof Uint8Array ? body : undefined
  const size = body instanceof Uint8Array ? body.byteLength : body.size
  if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0)) {
    throw invalid(key, `has the size ${size}, expected a whole number of bytes`)
  }
  if ((size ?? 0) > maxObjectBytes) throw invalid(key, tooLarge(maxObjectBytes))
  return { size, bytes, [Symbol.asyncIterator]: () => chunksOf(body, size, bounds) }
}

async function* chunksOf(
  body: PutBody,
  size: number | undefined,
  { key, maxObjectBytes, signal }: PutBounds,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted()
  if (body instanceof Uint8Array) {
    if (body.byteLength > 0) yield body
    return
  }
  let seen = 0
  for await (const chunk of readSource(body, key, signal)) {
    if (!(chunk instanceof Uint8Array)) throw invalid(key, 'yields something other than Uint8Array')
    seen += chunk.byteLength
    if (size !== undefined && seen > size) throw invalid(key, `yields more than its ${size} bytes`)
    if (seen > maxObjectBytes) throw invalid(key, tooLarge(maxObjectBytes))
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
  // Not `try { yield }`: an error of the consumer is not an error of the source.
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

function invalid(key: string, problem: string): StoreError {
  return new StoreError('InvalidArgument', `The body of ${key} ${problem}.`, { op: 'put', key })
}

function tooLarge(maxObjectBytes: number): string {
  return `is larger than the ${maxObjectBytes} bytes that the store accepts`
}
