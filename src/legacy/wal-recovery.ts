import {
  decodeWalHeader,
  encodeWalHeader,
  WAL_FORMAT_VERSION,
  WAL_FRAME_HEADER_SIZE,
  type WalChecksum,
  type WalHeader,
  walFrameSize,
} from '../core/wal/index.ts'

const MAGIC_LITTLE_ENDIAN = 0x377f0682
const MAGIC_BIG_ENDIAN = 0x377f0683

/**
 * Reconstructs the header, which was never stored, of the WAL whose first frame is at `at`;
 * `undefined` if that frame is not the first of a WAL of this page size and byte order.
 *
 * The running checksum (SQLite file format, section 4.2) can be reversed, so the first frame yields
 * the header's own checksum. That gives two equations for the one unknown word, the checkpoint
 * sequence number: one yields it, the other verifies it, with a chance of 2^-32 that a wrong frame
 * passes.
 *
 * @param frames Contains a whole frame at `at`.
 */
export function recoverWalHeader(
  frames: Uint8Array,
  at: number,
  pageSize: number,
  bigEndian: boolean,
): WalHeader | undefined {
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength)
  const salt1 = view.getUint32(at + 8)
  const salt2 = view.getUint32(at + 12)
  const sum = checksumBefore(frames, at, pageSize, bigEndian)
  const word = (value: number): number => (bigEndian ? value : swapBytes(value))
  // The rounds of the checksum over the header: (magic, version), (page size, sequence), (salts).
  const first1 = word(bigEndian ? MAGIC_BIG_ENDIAN : MAGIC_LITTLE_ENDIAN)
  const first2 = (word(WAL_FORMAT_VERSION) + first1) >>> 0
  const second1 = (first1 + word(pageSize) + first2) >>> 0
  const second2 = (sum.s1 - second1 - word(salt1)) >>> 0
  if ((second2 + word(salt2) + sum.s1) >>> 0 !== sum.s2) return undefined
  const sequence = word((second2 - first2 - second1) >>> 0)
  return decodeWalHeader(encodeWalHeader({ bigEndian, pageSize, sequence, salt1, salt2 }))
}

/** The running checksum before the frame at `at`: what its predecessor, or the WAL header, ended with. */
export function checksumBefore(
  frames: Uint8Array,
  at: number,
  pageSize: number,
  bigEndian: boolean,
): WalChecksum {
  const view = new DataView(frames.buffer, frames.byteOffset + at, walFrameSize(pageSize))
  const sum = { s1: view.getUint32(16), s2: view.getUint32(20) }
  undo(sum, view, WAL_FRAME_HEADER_SIZE, view.byteLength, !bigEndian)
  undo(sum, view, 0, 8, !bigEndian)
  return sum
}

function undo(
  sum: WalChecksum,
  view: DataView,
  start: number,
  end: number,
  littleEndian: boolean,
): void {
  let { s1, s2 } = sum
  for (let at = end - 8; at >= start; at -= 8) {
    s2 = (s2 - view.getInt32(at + 4, littleEndian) - s1) | 0
    s1 = (s1 - view.getInt32(at, littleEndian) - s2) | 0
  }
  sum.s1 = s1 >>> 0
  sum.s2 = s2 >>> 0
}

function swapBytes(value: number): number {
  return (
    (((value & 0xff) << 24) |
      ((value & 0xff00) << 8) |
      ((value >>> 8) & 0xff00) |
      (value >>> 24)) >>>
    0
  )
}
