import { LtxError } from './ltx-error.ts'
import { PAGE_INDEX_LENGTH_SIZE } from './page-index.ts'

/** Consumes a page index that arrives in pieces. */
export interface IndexCheck {
  readonly done: boolean
  /** Takes what belongs to the index and returns the position after it. Throws `InvalidIndex`. */
  consume(bytes: Uint8Array, start: number): number
}

/** Accepts exactly the index that the decoded page frames demand, byte for byte. */
export class ExactIndexCheck implements IndexCheck {
  readonly #expected: Uint8Array
  #at = 0

  constructor(expected: Uint8Array) {
    this.#expected = expected
  }

  get done(): boolean {
    return this.#at === this.#expected.length
  }

  consume(bytes: Uint8Array, start: number): number {
    const end = Math.min(bytes.length, start + this.#expected.length - this.#at)
    for (let at = start; at < end; at++) {
      if (bytes[at] !== this.#expected[this.#at]) {
        throw new LtxError(
          'InvalidIndex',
          `The page index differs from the page frames at byte ${this.#at}.`,
        )
      }
      this.#at++
    }
    return end
  }
}

const ENTRY_FIELDS = 3
const MAX_GO_UVARINT_SIZE = 10

/** Finds the end of any index, as the reference decoder does, without comparing its entries. */
export class LenientIndexCheck implements IndexCheck {
  #field = 0
  #fieldBytes = 0
  #lengthBytes = 0
  #ended = false

  get done(): boolean {
    return this.#lengthBytes === PAGE_INDEX_LENGTH_SIZE
  }

  consume(bytes: Uint8Array, start: number): number {
    let at = start
    while (at < bytes.length && !this.done) {
      if (this.#ended) this.#lengthBytes++
      else this.#entryByte(bytes[at]!)
      at++
    }
    return at
  }

  #entryByte(byte: number): void {
    this.#fieldBytes++
    if (byte >= 0x80) {
      if (this.#fieldBytes < MAX_GO_UVARINT_SIZE) return
      throw new LtxError('InvalidIndex', 'The page index contains a varint of more than 64 bits.')
    }
    this.#ended = this.#field === 0 && this.#fieldBytes === 1 && byte === 0
    this.#field = (this.#field + 1) % ENTRY_FIELDS
    this.#fieldBytes = 0
  }
}
