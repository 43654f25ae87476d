import { type DriverBody, freeBytes } from '../../core/store/index.ts'

/** A piece of a put's body. `last` is true for the final one; an empty body is one empty part. */
export interface PutPart {
  readonly bytes: Uint8Array
  readonly last: boolean
}

/**
 * Cuts a put's body into parts of exactly `partBytes` bytes (the last may be shorter). Bytes in
 * memory are not copied; chunks of a source are, because their owner may reuse them.
 *
 * Holds one part and one chunk at a time. A part is yielded only once it is known whether it is the
 * last, so an object that fits into one part yields exactly one.
 *
 * @throws whatever iterating the body throws
 */
export async function* putParts(
  body: DriverBody,
  partBytes: number,
): AsyncGenerator<PutPart, void> {
  const { bytes } = body
  if (bytes !== undefined) {
    for (let at = 0; at === 0 || at < bytes.length; at += partBytes) {
      const end = Math.min(at + partBytes, bytes.length)
      yield { bytes: bytes.subarray(at, end), last: end === bytes.length }
    }
    return
  }
  let left = body.size
  let part = new PartBuffer(partBytes, left)
  for await (const chunk of body) {
    for (let rest = chunk; rest.length > 0; ) {
      if (part.full) {
        yield { bytes: part.bytes, last: false }
        if (left !== undefined) left -= partBytes
        part = new PartBuffer(partBytes, left)
      }
      rest = part.fill(rest)
    }
    freeBytes(chunk)
  }
  yield { bytes: part.bytes, last: true }
}

const FIRST_BYTES = 64 * 1024

/**
 * Grows up to the size of a part, so that a small object of unknown size does not cost a whole
 * part.
 */
class PartBuffer {
  readonly #limit: number
  #buffer: Uint8Array
  #length = 0

  constructor(partBytes: number, expected: number | undefined) {
    this.#limit = partBytes
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(partBytes, expected ?? FIRST_BYTES))
  }

  get full(): boolean {
    return this.#length === this.#limit
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Takes what fits and returns the rest. */
  fill(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, this.#limit - this.#length)
    const needed = this.#length + taken.length
    if (needed > this.#buffer.length) this.#grow(needed)
    this.#buffer.set(taken, this.#length)
    this.#length = needed
    return chunk.subarray(taken.length)
  }

  #grow(needed: number): void {
    const size = Math.min(this.#limit, Math.max(needed, this.#buffer.length * 4))
    const grown = Buffer.allocUnsafeSlow(size)
    grown.set(this.bytes)
    this.#buffer = grown
  }
}
