import { LtxError } from '../ltx-error.ts'
import { compressBlock, compressBound, decompressBlock } from './lz4-block.ts'
import { xxh32 } from './xxh32.ts'

// Magic, FLG (version 1, independent blocks, content checksum), BD (64 KiB), header checksum. Newer
// Litestream versions read exactly 8 bytes after the block, so the content checksum is not optional.
const HEADER = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7)
const MAGIC = 0x184d2204
const MIN_HEADER_SIZE = 7
const STORED = 0x80000000

const FLG_VERSION_MASK = 0xc0
const FLG_VERSION = 0x40
const FLG_INDEPENDENT = 0x20
const FLG_CONTENT_SIZE = 0x08
const FLG_CONTENT_CHECKSUM = 0x04
const FLG_UNREADABLE = 0x13 // block checksums, reserved bit, dictionary

/** Largest frame that `encodeFrame` writes for `n` bytes, and that a reader accepts without looking. */
export function frameBound(n: number): number {
  return HEADER.length + 4 + compressBound(n) + 8
}

/** Writes one page as an LZ4 frame of one block at `start` and returns the position after it. */
export function encodeFrame(page: Uint8Array, target: Uint8Array, start: number): number {
  const view = new DataView(target.buffer, target.byteOffset, target.length)
  target.set(HEADER, start)
  const block = start + HEADER.length + 4
  let end = compressBlock(page, target, block)
  if (end - block < page.length) {
    view.setUint32(block - 4, end - block, true)
  } else {
    view.setUint32(block - 4, (page.length | STORED) >>> 0, true)
    target.set(page, block)
    end = block + page.length
  }
  view.setUint32(end, 0, true)
  view.setUint32(end + 4, xxh32(page), true)
  return end + 8
}

/**
 * How many bytes are needed before more can be said about the frame that `bytes` starts with. Not
 * more than `bytes.length`: the frame is complete and has that length. Throws `InvalidPage` for a
 * frame that cannot hold a page of `pageSize`.
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */
export function requiredFrameBytes(bytes: Uint8Array, pageSize: number): number {
  if (bytes.length < MIN_HEADER_SIZE) return MIN_HEADER_SIZE
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const flg = checkDescriptor(view)
  let at = headerSize(flg)
  if (bytes.length < at) return at
  if (bytes[at - 1] !== ((xxh32(bytes.subarray(4, at - 1)) >>> 8) & 0xff)) {
    throw invalid('header checksum does not match')
  }
  if (flg & FLG_CONTENT_SIZE && view.getBigUint64(6, true) !== BigInt(pageSize)) {
    throw invalid('content size is not the page size')
  }
  // Every block may carry overhead, but a frame twice the size of its page is not a page frame.
  const most = 2 * frameBound(pageSize)
  for (;;) {
    if (bytes.length < at + 4) return at + 4
    const word = view.getUint32(at, true)
    if (word === 0) return at + 4 + (flg & FLG_CONTENT_CHECKSUM ? 4 : 0)
    const size = word & ~STORED
    if (size === 0 || size > compressBound(pageSize)) throw invalid('block size is out of bounds')
    at += 4 + size
    if (at > most) throw invalid('blocks exceed the page size')
    if (bytes.length < at) return at
  }
}

/** Decodes a frame that `requiredFrameBytes` found complete. Throws `InvalidPage` unless it fills `target`. */
export function decodeFrame(frame: Uint8Array, target: Uint8Array): void {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const flg = frame[4]!
  let at = headerSize(flg)
  let out = 0
  for (;;) {
    const word = view.getUint32(at, true)
    at += 4
    if (word === 0) break
    const block = frame.subarray(at, at + (word & ~STORED))
    if (word & STORED) {
      if (block.length > target.length - out) throw invalid('content exceeds the page size')
      target.set(block, out)
      out += block.length
    } else {
      out = decompressBlock(block, target, out, flg & FLG_INDEPENDENT ? out : 0)
    }
    at += block.length
  }
  if (out !== target.length) throw invalid('content is shorter than the page size')
  if (flg & FLG_CONTENT_CHECKSUM && view.getUint32(at, true) !== xxh32(target)) {
    throw new LtxError('ChecksumMismatch', 'The content checksum of the LZ4 frame does not match.')
  }
}

function checkDescriptor(view: DataView): number {
  if (view.getUint32(0, true) !== MAGIC) throw invalid('magic number is wrong')
  const flg = view.getUint8(4)
  const bd = view.getUint8(5)
  if ((flg & FLG_VERSION_MASK) !== FLG_VERSION || flg & FLG_UNREADABLE) {
    throw invalid('flags ask for an unsupported feature')
  }
  if (bd & 0x8f || bd < 0x40) throw invalid('block size code is invalid')
  return flg
}

function headerSize(flg: number): number {
  return flg & FLG_CONTENT_SIZE ? MIN_HEADER_SIZE + 8 : MIN_HEADER_SIZE
}

function invalid(problem: string): LtxError {
  return new LtxError('InvalidPage', `The LZ4 frame cannot be decoded: its ${problem}.`)
}
