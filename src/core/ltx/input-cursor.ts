import type { DatabaseChecksums } from './checksum-note.ts'
import { LtxDecoder } from './ltx-decoder.ts'
import { LtxError } from './ltx-error.ts'
import type { LtxHeader } from './ltx-header.ts'
import type { LtxPage } from './page-frame.ts'

// A page can be 255 times its payload: this bounds the decoded pages of one input to 8 MiB.
const SLICE_SIZE = 32 * 1024

/** Reads the pages of one LTX file in order, with one page of look-ahead, and verifies the file at its end. */
export class InputCursor {
  /** The next page; undefined after the last one, when the file has been verified. */
  page: LtxPage | undefined
  readonly #number: number
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal | undefined
  readonly #decoder = new LtxDecoder()
  #chunk: Uint8Array = new Uint8Array(0)
  #at = 0
  #pages: LtxPage[] = []
  #next = 0
  #pageCount = 0

  /** @param number Position among the inputs, for messages. */
  constructor(source: AsyncIterable<Uint8Array>, number: number, signal: AbortSignal | undefined) {
    this.#iterator = source[Symbol.asyncIterator]()
    this.#number = number
    this.#signal = signal
  }

  /** Reads up to the first page and returns the header. */
  async open(): Promise<LtxHeader> {
    await this.advance()
    return this.#decoder.header!
  }

  /** Valid once the file has been read to its end. */
  get checksums(): DatabaseChecksums | undefined {
    return this.#decoder.databaseChecksums
  }

  /** Number of pages of the whole file, once it has been read to its end. */
  get pageCount(): number {
    return this.#pageCount
  }

  /** Moves to the next page. Returns a promise only if it has to wait for bytes. */
  advance(): void | Promise<void> {
    this.page = this.#pages[this.#next++]
    return this.page === undefined ? this.#refill() : undefined
  }

  async close(): Promise<void> {
    await this.#iterator.return?.()
  }

  async #refill(): Promise<void> {
    this.#pages = []
    while (this.#pages.length === 0) {
      if (this.#at >= this.#chunk.length && !(await this.#nextChunk())) return
      const end = this.#at + SLICE_SIZE
      const slice = this.#chunk.subarray(this.#at, end)
      this.#pages = this.#decode(() => this.#decoder.write(slice))
      this.#pageCount += this.#pages.length
      this.#at = end
    }
    this.page = this.#pages[0]
    this.#next = 1
  }

  /** False after the last chunk. */
  async #nextChunk(): Promise<boolean> {
    this.#signal?.throwIfAborted()
    const result = await this.#iterator.next()
    this.#signal?.throwIfAborted()
    if (result.done === true) {
      this.#decode(() => this.#decoder.end())
      return false
    }
    this.#chunk = result.value
    this.#at = 0
    return true
  }

  #decode<T>(step: () => T): T {
    try {
      return step()
    } catch (cause) {
      if (!(cause instanceof LtxError)) throw cause
      throw new LtxError(cause.code, `Input ${this.#number}: ${cause.message}`, { cause })
    }
  }
}
