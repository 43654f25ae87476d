import { EMPTY_DATABASE_CHECKSUM, pageChecksum, pageHash, toggleChecksum } from './checksum.ts'
import { Crc64 } from './codec/crc64.ts'
import { frameBound, requiredFrameBytes } from './codec/lz4-frame.ts'
import { decodePageFrame } from './codec/page-block.ts'
import { isPageBlock, type LtxPage, PAGE_HEADER_SIZE, PAGE_LENGTH_SIZE } from './page-frame.ts'

/**
 * Page frames of one file, one after the other, as `LtxRangeReader` found them. No page depends on what
 * comes before it in a file, so any thread can decode a range.
 */
export interface FrameRange {
  /** In bytes. */
  readonly pageSize: number
  readonly frames: Uint8Array<ArrayBuffer>
  /** For each frame whether its page is needed (1), or only its part of the checksums (0). */
  readonly needed: Uint8Array
  /** Is the checksum of the pages needed? */
  readonly hasChecksum: boolean
}

/** What is known of a range once its pages are decoded. */
export interface RangeSums {
  /** CRC of that part of the range that the checksum of the file covers. */
  readonly crc: bigint
  /** Bytes of that part. */
  readonly crcBytes: number
  /** `pageHash` of all needed pages, toggled. */
  readonly hash: bigint
  /** `pageChecksum` of all pages, toggled, if it is needed. */
  readonly checksum: bigint
}

/** Bytes of the end mark and the content checksum of an LZ4 frame. */
const FRAME_END_SIZE = 8

/** Most bytes of a page frame in either encoding that a reader accepts. */
export function pageFrameBound(pageSize: number): number {
  return PAGE_HEADER_SIZE + 2 * frameBound(pageSize) + FRAME_END_SIZE
}

/**
 * Yields the needed pages of a range, each in the same memory, and returns the sums of the range.
 *
 * @throws LtxError `InvalidPage`, `ChecksumMismatch` as in `decodePageFrame`
 */
export function* decodeRange(range: FrameRange): Generator<LtxPage, RangeSums, void> {
  const { pageSize, frames, needed, hasChecksum } = range
  const view = new DataView(frames.buffer, frames.byteOffset, frames.length)
  const data = new Uint8Array(pageSize)
  const crc = new Crc64()
  let crcBytes = 0
  let hash = EMPTY_DATABASE_CHECKSUM
  let checksum = EMPTY_DATABASE_CHECKSUM
  let at = 0
  for (const isNeeded of needed) {
    const pgno = view.getUint32(at)
    const isBlock = isPageBlock(frames, at)
    const payload = isBlock ? PAGE_HEADER_SIZE + PAGE_LENGTH_SIZE : PAGE_HEADER_SIZE
    const length = isBlock
      ? view.getUint32(at + PAGE_HEADER_SIZE)
      : requiredFrameBytes(frames.subarray(at + payload), pageSize)
    const end = at + payload + length
    decodePageFrame(frames.subarray(at, end), data, crc)
    crcBytes += payload + pageSize
    if (hasChecksum) checksum = toggleChecksum(checksum, pageChecksum(pgno, data))
    if (isNeeded === 1) {
      hash = toggleChecksum(hash, pageHash(pgno, data))
      yield { pgno, data }
    }
    at = end
  }
  return { crc: crc.digest(), crcBytes, hash, checksum }
}
