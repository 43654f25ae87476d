import { CHECKSUM_NOTE_SIZE, decodeChecksumNote } from './checksum-note.ts'
import { MAX_UVARINT_SIZE, readUvarint, writeUvarint } from './codec/uvarint.ts'
import { LtxError } from './ltx-error.ts'

/** Bytes of the length that ends a page index. */
export const PAGE_INDEX_LENGTH_SIZE = 8

/** Where one page frame lies. */
export interface PageIndexEntry {
  readonly pgno: number
  /** Position of the page header from the start of the file, in bytes. */
  readonly offset: number
  /** Bytes of the page frame: page header, size field and payload. */
  readonly size: number
}

/** Builds the page index of a file, in its encoded form from the start: about 9 bytes a page. */
export class PageIndexBuilder {
  #bytes = new Uint8Array(256)
  #length = 0

  add(pgno: number, offset: number, size: number): void {
    this.#reserve(3 * MAX_UVARINT_SIZE)
    let at = writeUvarint(this.#bytes, this.#length, pgno)
    at = writeUvarint(this.#bytes, at, offset)
    this.#length = writeUvarint(this.#bytes, at, size)
  }

  /** The whole index with its terminator and length, and a note before them. Nothing may be added afterwards. */
  finish(note?: Uint8Array): Uint8Array {
    if (note !== undefined) {
      this.#reserve(note.length)
      this.#bytes.set(note, this.#length)
      this.#length += note.length
    }
    this.#reserve(1 + PAGE_INDEX_LENGTH_SIZE)
    const length = this.#length + 1
    this.#bytes[this.#length] = 0
    new DataView(this.#bytes.buffer).setBigUint64(length, BigInt(length))
    return this.#bytes.subarray(0, length + PAGE_INDEX_LENGTH_SIZE)
  }

  #reserve(count: number): void {
    if (this.#bytes.length - this.#length >= count) return
    const larger = new Uint8Array(this.#bytes.length * 2)
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

/**
 * Reads a whole index (entries, terminator, length), for ranged reads of single pages. Throws
 * `InvalidIndex` for malformed or unordered entries, or a length that does not match.
 */
export function decodePageIndex(bytes: Uint8Array): PageIndexEntry[] {
  const entries: PageIndexEntry[] = []
  let at = 0
  for (;;) {
    // The last entry may be a note of checksums instead of a page.
    if (decodeChecksumNote(bytes.subarray(at)) !== undefined) {
      at += CHECKSUM_NOTE_SIZE
      if (bytes[at] !== 0)
        throw new LtxError('InvalidIndex', 'The page index continues after its note.')
    }
    const pgno = readUvarint(bytes, at)
    if (pgno.value === 0) {
      at = pgno.next
      break
    }
    const offset = readUvarint(bytes, pgno.next)
    const size = readUvarint(bytes, offset.next)
    if (pgno.value <= (entries.at(-1)?.pgno ?? 0)) {
      throw new LtxError('InvalidIndex', `The page index lists page ${pgno.value} out of order.`)
    }
    entries.push({ pgno: pgno.value, offset: offset.value, size: size.value })
    at = size.next
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (bytes.length !== at + PAGE_INDEX_LENGTH_SIZE || view.getBigUint64(at) !== BigInt(at)) {
    throw new LtxError(
      'InvalidIndex',
      `The page index does not end with its length of ${at} bytes.`,
    )
  }
  return entries
}
