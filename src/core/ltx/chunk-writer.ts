const FIRST_CHUNK_SIZE = 16 * 1024
const MAX_CHUNK_SIZE = 256 * 1024

/**
 * Collects output in chunks that start small, for the usual one-page file, and grow to 256 KiB. A
 * chunk that was handed out is never touched again.
 */
export class ChunkWriter {
  /** Bytes written so far, drained or not. */
  bytesWritten = 0
  #buffer = new Uint8Array(0)
  #length = 0
  #nextSize = FIRST_CHUNK_SIZE
  #completed: Uint8Array[] = []

  /** The buffer to write into, from `position`, with room for at least `count` bytes. */
  reserve(count: number): Uint8Array {
    if (this.#buffer.length - this.#length < count) {
      this.flush()
      this.#buffer = new Uint8Array(Math.max(count, this.#nextSize))
      this.#nextSize = Math.min(this.#nextSize * 2, MAX_CHUNK_SIZE)
    }
    return this.#buffer
  }

  get position(): number {
    return this.#length
  }

  /** Takes over what was written into the reserved buffer up to `end`. */
  advanceTo(end: number): void {
    this.bytesWritten += end - this.#length
    this.#length = end
  }

  append(bytes: Uint8Array): void {
    const buffer = this.reserve(bytes.length)
    buffer.set(bytes, this.#length)
    this.advanceTo(this.#length + bytes.length)
  }

  /** Adds a chunk as it is, without copying it. */
  appendChunk(chunk: Uint8Array): void {
    this.flush()
    this.#completed.push(chunk)
    this.bytesWritten += chunk.length
  }

  /** Completes the current chunk, however small. */
  flush(): void {
    if (this.#length > 0) this.#completed.push(this.#buffer.subarray(0, this.#length))
    this.#buffer = new Uint8Array(0)
    this.#length = 0
  }

  /** The chunks completed since the last call. */
  drain(): Uint8Array[] {
    const chunks = this.#completed
    this.#completed = []
    return chunks
  }
}
