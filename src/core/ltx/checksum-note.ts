import { isChecksum } from './checksum.ts'
import { LTX_TRAILER_SIZE } from './ltx-trailer.ts'

/** Checksums of the whole database on both sides of a file; `undefined` where unknown. */
export interface DatabaseChecksums {
  readonly before: bigint | undefined
  readonly after: bigint
}

/** Bytes of an encoded note. */
export const CHECKSUM_NOTE_SIZE = 25
/** Bytes from the note to the end of the file: terminator and length of the index, and the trailer. */
export const CHECKSUM_TAIL_SIZE = CHECKSUM_NOTE_SIZE + 1 + 8 + LTX_TRAILER_SIZE

/** What a note begins with: as a varint, the number of a page that no database can have. */
const MARK_SIZE = 5
/** 2^33 - 1. */
const MARK = 0x1f
/** 2^32 - 1, in files of before the release: XORs of plain CRCs, which prove nothing (decision 12). */
const OLD_MARK = 0x0f
const VALUE_SIZE = 10

/**
 * The last entry of a page index, for a page that cannot exist: readers that do not know it take it
 * for a page that is never requested. For why LTX's own fields are not used, see decision 12.
 */
export function encodeChecksumNote({ before, after }: DatabaseChecksums): Uint8Array {
  const bytes = new Uint8Array(CHECKSUM_NOTE_SIZE)
  bytes.fill(0xff, 0, MARK_SIZE - 1)
  bytes[MARK_SIZE - 1] = MARK
  writeValue(bytes, MARK_SIZE, before ?? 0n)
  writeValue(bytes, MARK_SIZE + VALUE_SIZE, after)
  return bytes
}

export interface ChecksumNote {
  /** `undefined` in a note whose checksums prove nothing. */
  readonly checksums: DatabaseChecksums | undefined
}

/** `undefined` if these bytes are not a note. */
export function decodeChecksumNote(bytes: Uint8Array): ChecksumNote | undefined {
  if (bytes.length < CHECKSUM_NOTE_SIZE) return undefined
  if (bytes.subarray(0, MARK_SIZE - 1).some((byte) => byte !== 0xff)) return undefined
  const mark = bytes[MARK_SIZE - 1]
  if (mark !== MARK && mark !== OLD_MARK) return undefined
  const before = readValue(bytes, MARK_SIZE)
  const after = readValue(bytes, MARK_SIZE + VALUE_SIZE)
  if (before === undefined || after === undefined || !isChecksum(after)) return undefined
  if (before !== 0n && !isChecksum(before)) return undefined
  if (mark === OLD_MARK) return { checksums: undefined }
  return { checksums: { before: before === 0n ? undefined : before, after } }
}

/** Finds the note in the last `CHECKSUM_TAIL_SIZE` bytes of a file; nothing is verified. */
export function decodeChecksumTail(tail: Uint8Array): DatabaseChecksums | undefined {
  if (tail.length !== CHECKSUM_TAIL_SIZE || tail[CHECKSUM_NOTE_SIZE] !== 0) return undefined
  return decodeChecksumNote(tail)?.checksums
}

/** Writes 64 bits as a varint of always 10 bytes, so that the note has a fixed length. */
function writeValue(target: Uint8Array, start: number, value: bigint): void {
  for (let i = 0; i < VALUE_SIZE; i++) {
    const bits = Number((value >> BigInt(7 * i)) & 0x7fn)
    target[start + i] = i < VALUE_SIZE - 1 ? bits | 0x80 : bits
  }
}

function readValue(bytes: Uint8Array, start: number): bigint | undefined {
  let value = 0n
  for (let i = 0; i < VALUE_SIZE; i++) {
    const byte = bytes[start + i]!
    const last = i === VALUE_SIZE - 1
    if (last ? byte > 1 : byte < 0x80) return undefined
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
  }
  return value
}
