import { pull } from '../../async/pull.ts'
import type { PutBody } from '../object-store.ts'

/**
 * Does the stored object hold exactly the bytes of this put? Both sides are streamed, so their size
 * does not matter. Rejects with an error of either.
 */
export async function holdsBody(
  stored: AsyncIterable<Uint8Array>,
  body: PutBody,
  signal: AbortSignal,
): Promise<boolean> {
  const theirs = new Chunks(stored, signal)
  const ours = new Chunks(body instanceof Uint8Array ? [body] : body.open(), signal)
  try {
    while (true) {
      const a = await theirs.peek()
      const b = await ours.peek()
      if (a === undefined || b === undefined) return a === b
      const length = Math.min(a.byteLength, b.byteLength)
      if (Buffer.compare(a.subarray(0, length), b.subarray(0, length)) !== 0) return false
      theirs.skip(length)
      ours.skip(length)
    }
  } finally {
    await theirs.close()
    await ours.close()
  }
}

/**
 * Reads a stream in pieces of the length asked for, so that differently chunked streams can be
 * compared.
 */
class Chunks {
  readonly #source: AsyncGenerator<Uint8Array>
  #left: Uint8Array = new Uint8Array()

  constructor(source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#source = pull(source, signal)
  }

  async peek(): Promise<Uint8Array | undefined> {
    while (this.#left.byteLength === 0) {
      const step = await this.#source.next()
      if (step.done === true) return undefined
      this.#left = step.value
    }
    return this.#left
  }

  skip(bytes: number): void {
    this.#left = this.#left.subarray(bytes)
  }

  async close(): Promise<void> {
    await this.#source.return(undefined)
  }
}
