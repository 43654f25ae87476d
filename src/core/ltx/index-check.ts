import { CHECKSUM_NOTE_SIZE, type DatabaseChecksums, decodeChecksumNote } from './checksum-note.ts'
import { LtxError } from './ltx-error.ts'
import { PAGE_INDEX_LENGTH_SIZE } from './page-index.ts'

/** Consumes a page index that arrives in pieces. */
export interface IndexCheck {
  readonly done: boolean
  /** Takes what belongs to the index and returns the position after it. Throws `InvalidIndex`. */
  consume(bytes: Uint8Array, start: number): number
}

/**
 * Accepts exactly the index that the decoded page frames require, byte for byte. A checksum note
 * may follow its entries.
 */
export class ExactIndexCheck implements IndexCheck {
  #expected: Uint8Array
  #at = 0
  /** Where the entries end. */
  readonly #entries: number
  readonly #note = new Uint8Array(CHECKSUM_NOTE_SIZE)
  #noteBytes = 0
  #checksums: DatabaseChecksums | undefined

  constructor(expected: Uint8Array) {
    this.#expected = expected
    this.#entries = expected.length - PAGE_INDEX_LENGTH_SIZE - 1
  }

  /** The checksums in the note; `undefined` without one. */
  get checksums(): DatabaseChecksums | undefined {
    return this.#checksums
  }

  get done(): boolean {
    return this.#at === this.#expected.length
  }

  consume(bytes: Uint8Array, start: number): number {
    let at = start
    while (at < bytes.length && !this.done) {
      if (this.#isNote(bytes[at]!)) {
        this.#noteByte(bytes[at++]!)
        continue
      }
      if (bytes[at] !== this.#expected[this.#at]) {
        throw new LtxError(
          'InvalidIndex',
          `The page index differs from the page frames at byte ${this.#at}.`,
        )
      }
      this.#at++
      at++
    }
    return at
  }

  /** A note is where the terminator would be, and does not begin with a zero. */
  #isNote(byte: number): boolean {
    if (this.#at !== this.#entries || this.#noteBytes === CHECKSUM_NOTE_SIZE) return false
    return this.#noteBytes > 0 || byte !== 0
  }

  #noteByte(byte: number): void {
    this.#note[this.#noteBytes++] = byte
    if (this.#noteBytes < CHECKSUM_NOTE_SIZE) return
    const note = decodeChecksumNote(this.#note)
    if (note === undefined) {
      throw new LtxError(
        'InvalidIndex',
        `The page index differs from the page frames at byte ${this.#at}.`,
      )
    }
    this.#checksums = note.checksums
    const length = BigInt(this.#entries + CHECKSUM_NOTE_SIZE + 1)
    const expected = this.#expected.slice()
    new DataView(expected.buffer).setBigUint64(this.#entries + 1, length)
    this.#expected = expected
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
