import {
  invalidPage,
  isPageBlock,
  PAGE_FLAG_BLOCK,
  PAGE_HEADER_SIZE,
  PAGE_LENGTH_SIZE,
} from '../page-frame.ts'
import type { Crc64 } from './crc64.ts'
import { INPUT, kernel, memory, OUTPUT, register } from './kernel.ts'
import { compressBound, malformedBlock } from './lz4-block.ts'
import { decodeFrame } from './lz4-frame.ts'

const PREFIX_SIZE = PAGE_HEADER_SIZE + PAGE_LENGTH_SIZE
const prefix = new DataView(memory.buffer, INPUT - PREFIX_SIZE, PREFIX_SIZE)

/** Most bytes of the page frame that `encodePageBlock` makes of a page. */
export function pageBlockBound(pageSize: number): number {
  return PREFIX_SIZE + compressBound(pageSize)
}

/**
 * Writes the page frame of a page in BLOCK encoding into `target`, which has `pageBlockBound` bytes left
 * from `start` on, and extends `crc` by its prefix and by the page: in one stay in the kernel's memory, too.
 *
 * @returns the position after the frame
 */
export function encodePageBlock(
  pgno: number,
  page: Uint8Array,
  target: Uint8Array,
  start: number,
  crc: Crc64,
): number {
  memory.set(page, INPUT)
  const size = kernel.compress(page.length)
  prefix.setUint32(0, pgno)
  prefix.setUint16(4, PAGE_FLAG_BLOCK)
  prefix.setUint32(PAGE_HEADER_SIZE, size)
  crc.updateInKernel(INPUT - PREFIX_SIZE, PREFIX_SIZE + page.length)
  target.set(memory.subarray(INPUT - PREFIX_SIZE, INPUT), start)
  target.set(memory.subarray(OUTPUT, OUTPUT + size), start + PREFIX_SIZE)
  return start + PREFIX_SIZE + size
}

/**
 * Decompresses the payload of a page frame into `page`, and extends `crc` by what comes before the payload
 * and by the page.
 *
 * @throws LtxError `InvalidPage` for a malformed payload or one that is not of the size of the page;
 *   `ChecksumMismatch` for an LZ4 frame with another content
 */
export function decodePageFrame(frame: Uint8Array, page: Uint8Array, crc: Crc64): void {
  if (isPageBlock(frame)) decodePageBlock(frame, page, crc)
  else {
    decodeFrame(frame.subarray(PAGE_HEADER_SIZE), page)
    crc.update(frame.subarray(0, PAGE_HEADER_SIZE)).update(page)
  }
}

/** All in one stay in the kernel's memory, which saves half of the copies. */
function decodePageBlock(frame: Uint8Array, page: Uint8Array, crc: Crc64): void {
  memory.set(frame, INPUT - PREFIX_SIZE)
  const length = kernel.decompress(frame.length - PREFIX_SIZE, 0, page.length)
  if (length < 0) throw malformedBlock(length)
  if (length !== page.length) {
    const pgno = prefix.getUint32(0)
    throw invalidPage(pgno, `decompresses to ${length} bytes`)
  }
  memory.copyWithin(OUTPUT - PREFIX_SIZE, INPUT - PREFIX_SIZE, INPUT)
  crc.updateInKernel(OUTPUT - PREFIX_SIZE, PREFIX_SIZE + length)
  page.set(memory.subarray(OUTPUT, OUTPUT + length))
}

const PGNO_SIZE = 4
const number = new DataView(memory.buffer, INPUT - PGNO_SIZE, PGNO_SIZE)

/** The CRC of a page number (u32 big-endian) and the page. */
export function pageCrc(pgno: number, page: Uint8Array): bigint {
  number.setUint32(0, pgno)
  memory.set(page, INPUT)
  register.setBigInt64(0, -1n)
  kernel.crc64(INPUT - PGNO_SIZE, PGNO_SIZE + page.length)
  return register.getBigUint64(0, true) ^ 0xffff_ffff_ffff_ffffn
}

/** XXH64 of a page, with its number as the seed. */
export function pageXxh64(pgno: number, page: Uint8Array): bigint {
  memory.set(page, INPUT)
  return encodedPageXxh64(pgno, page.length)
}

/** The same of the page that was given to `encodePageBlock` last: it is still in the kernel's memory. */
export function encodedPageXxh64(pgno: number, pageSize: number): bigint {
  register.setBigUint64(0, BigInt(pgno), true)
  kernel.xxh64(INPUT, pageSize)
  return register.getBigUint64(0, true)
}
