import { CHECKSUM_FLAG } from './checksum.ts'
import { Crc64 } from './codec/crc64.ts'
import { encodedPageXxh64, encodePageBlock, pageBlockBound } from './codec/page-block.ts'
import { PAGE_HEADER_SIZE, PAGE_LENGTH_SIZE } from './page-frame.ts'

/**
 * Consecutive pages in BLOCK encoding. No page depends on what comes before it in a file, so any thread
 * can encode a range, and `LtxEncoder.appendRange` puts it into its place.
 */
export interface EncodedRange {
  /** Number of the first page. */
  readonly first: number
  /** All page frames, one after the other. */
  readonly frames: Uint8Array<ArrayBuffer>
  /** Bytes of each page frame. */
  readonly sizes: Uint32Array<ArrayBuffer>
  /** `pageHash` of each page. */
  readonly sums: BigUint64Array<ArrayBuffer>
  /** CRC of that part of the range that the checksum of a file covers. */
  readonly crc: bigint
  /** Bytes of that part. */
  readonly crcBytes: number
}

/** Encodes ranges of one page size, one after the other in the same memory. */
export class RangeEncoder {
  readonly #pageSize: number
  #frames = new Uint8Array(0)

  constructor(pageSize: number) {
    this.#pageSize = pageSize
  }

  /** @param pages whole pages, without the lock page */
  encode(first: number, pages: Uint8Array): EncodedRange {
    const pageSize = this.#pageSize
    const count = pages.length / pageSize
    const frames = this.#reserve(count * pageBlockBound(pageSize))
    const sizes = new Uint32Array(count)
    const sums = new BigUint64Array(count)
    const crc = new Crc64()
    let end = 0
    for (let i = 0; i < count; i++) {
      const page = pages.subarray(i * pageSize, (i + 1) * pageSize)
      const start = end
      end = encodePageBlock(first + i, page, frames, start, crc)
      sizes[i] = end - start
      sums[i] = CHECKSUM_FLAG | encodedPageXxh64(first + i, pageSize)
    }
    const crcBytes = count * (PAGE_HEADER_SIZE + PAGE_LENGTH_SIZE + pageSize)
    return { first, frames: frames.slice(0, end), sizes, sums, crc: crc.digest(), crcBytes }
  }

  #reserve(bytes: number): Uint8Array<ArrayBuffer> {
    if (this.#frames.length < bytes) this.#frames = new Uint8Array(bytes)
    return this.#frames
  }
}
