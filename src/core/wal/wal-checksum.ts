/** Running WAL checksum: two unsigned 32-bit sums that each frame extends. SQLite file format, section 4.2. */
export interface WalChecksum {
  s1: number
  s2: number
}

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * Extends `sum` by `bytes[start, end)`, whose length is a multiple of 8.
 *
 * @param bigEndian The word order that the magic number of the WAL header states.
 */
export function extendWalChecksum(
  sum: WalChecksum,
  bytes: Uint8Array,
  start: number,
  end: number,
  bigEndian: boolean,
): void {
  const offset = bytes.byteOffset + start
  if (bigEndian !== HOST_IS_LITTLE_ENDIAN && offset % 4 === 0) {
    extendByNativeWords(sum, new Int32Array(bytes.buffer, offset, (end - start) >> 2))
  } else {
    extendByView(sum, new DataView(bytes.buffer, offset, end - start), !bigEndian)
  }
}

function extendByNativeWords(sum: WalChecksum, words: Int32Array): void {
  let s1 = sum.s1 | 0
  let s2 = sum.s2 | 0
  for (let i = 0; i < words.length; i += 2) {
    s1 = (s1 + words[i]! + s2) | 0
    s2 = (s2 + words[i + 1]! + s1) | 0
  }
  sum.s1 = s1 >>> 0
  sum.s2 = s2 >>> 0
}

function extendByView(sum: WalChecksum, view: DataView, littleEndian: boolean): void {
  let s1 = sum.s1 | 0
  let s2 = sum.s2 | 0
  for (let i = 0; i < view.byteLength; i += 8) {
    s1 = (s1 + view.getInt32(i, littleEndian) + s2) | 0
    s2 = (s2 + view.getInt32(i + 4, littleEndian) + s1) | 0
  }
  sum.s1 = s1 >>> 0
  sum.s2 = s2 >>> 0
}
