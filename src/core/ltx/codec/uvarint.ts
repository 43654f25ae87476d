import { LtxError } from '../ltx-error.ts'

/** Most bytes that `writeUvarint` writes: a safe integer has 53 bits. */
export const MAX_UVARINT_SIZE = 8

/**
 * Writes a non-negative safe integer as an unsigned LEB128 varint: 7 bits a byte, the least
 * significant first, bit 7 set on all bytes but the last. Returns the position after it.
 */
export function writeUvarint(target: Uint8Array, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[at++] = rest
  return at
}

/**
 * Reads one varint. Throws `InvalidIndex` if the bytes end first, if the value exceeds 2^53 - 1, or
 * if a shorter form of the same value exists.
 */
export function readUvarint(bytes: Uint8Array, start: number): { value: number; next: number } {
  let value = 0
  let scale = 1
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at]!
    value += (byte & 0x7f) * scale
    if (value > Number.MAX_SAFE_INTEGER) throw invalid('exceeds 2^53 - 1', start)
    if (byte < 0x80) {
      if (byte === 0 && at > start) throw invalid('is not in its shortest form', start)
      return { value, next: at + 1 }
    }
    if (at - start + 1 >= MAX_UVARINT_SIZE) throw invalid('exceeds 2^53 - 1', start)
    scale *= 0x80
  }
  throw invalid('is cut off', start)
}

function invalid(problem: string, at: number): LtxError {
  return new LtxError('InvalidIndex', `The varint at byte ${at} of the page index ${problem}.`)
}
