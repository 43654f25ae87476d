import { LtxError } from '../ltx-error.ts'

/** Largest block that `n` bytes can compress to; LZ4's own bound. */
export function compressBound(n: number): number {
  return n + Math.floor(n / 255) + 16
}

/** Longest input of the block codec, in bytes: the largest SQLite page. */
export const MAX_BLOCK_INPUT = 65536

const HASH_BITS = 12
const MIN_MATCH = 4
const LAST_LITERALS = 5
// The last match must start at least this many bytes before the end (LZ4 block format, end conditions).
const MATCH_MARGIN = 12
const SKIP_BITS = 6

// One page at a time and never across an await, so that the tables can be shared. A hash entry of 0
// means position 0 or nothing; both are safe, because every candidate is compared before use.
const table = new Uint16Array(1 << HASH_BITS)
const scratch = new Uint8Array(MAX_BLOCK_INPUT + 8)
const words = new DataView(scratch.buffer)

/**
 * Compresses `source` as one LZ4 block into `target` at `start` and returns the position after it.
 * `target` must have `compressBound(source.length)` bytes left. Throws `InvalidArgument` if not, or
 * if `source` is longer than 64 KiB.
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
export function compressBlock(source: Uint8Array, target: Uint8Array, start: number): number {
  const length = source.length
  if (length > MAX_BLOCK_INPUT || target.length - start < compressBound(length)) {
    throw new LtxError('InvalidArgument', `Cannot compress ${length} bytes into the given buffer.`)
  }
  scratch.set(source)
  table.fill(0)
  const matchEnd = length - LAST_LITERALS
  const lastStart = length - MATCH_MARGIN
  let out = start
  let anchor = 0
  let at = 1
  let attempts = 1 << SKIP_BITS
  while (at <= lastStart) {
    const sequence = words.getInt32(at, true)
    const slot = Math.imul(sequence, 0x9e3779b1) >>> (32 - HASH_BITS)
    let candidate = table[slot]!
    table[slot] = at
    if (words.getInt32(candidate, true) !== sequence) {
      // Incompressible stretches are crossed with growing steps.
      at += attempts++ >>> SKIP_BITS
      continue
    }
    while (at > anchor && candidate > 0 && scratch[at - 1] === scratch[candidate - 1]) {
      at--
      candidate--
    }
    const matchStart = at
    const offset = at - candidate
    at = extendMatch(at + MIN_MATCH, offset, matchEnd)
    out = writeLiterals(target, out, anchor, matchStart, at - matchStart - MIN_MATCH)
    target[out++] = offset
    target[out++] = offset >>> 8
    out = writeExtra(target, out, at - matchStart - MIN_MATCH)
    anchor = at
    attempts = 1 << SKIP_BITS
    if (at <= lastStart) {
      table[Math.imul(words.getInt32(at - 2, true), 0x9e3779b1) >>> (32 - HASH_BITS)] = at - 2
    }
  }
  return writeLiterals(target, out, anchor, length, 0)
}

function extendMatch(from: number, offset: number, end: number): number {
  let at = from
  while (at + 4 <= end) {
    const difference = words.getInt32(at, true) ^ words.getInt32(at - offset, true)
    if (difference !== 0) return at + ((31 - Math.clz32(difference & -difference)) >>> 3)
    at += 4
  }
  while (at < end && scratch[at] === scratch[at - offset]) at++
  return at
}

/** Writes the token, the literals `from`..`to` of the scratch buffer and their extra length bytes. */
function writeLiterals(
  target: Uint8Array,
  start: number,
  from: number,
  to: number,
  matchExtra: number,
): number {
  const count = to - from
  let out = start
  target[out++] = (Math.min(count, 15) << 4) | Math.min(matchExtra, 15)
  out = writeExtra(target, out, count)
  if (count > 64) {
    target.set(scratch.subarray(from, to), out)
    return out + count
  }
  for (let at = from; at < to; at++) target[out++] = scratch[at]!
  return out
}

/** Lengths of 15 and more continue in bytes of 255 and a rest. */
function writeExtra(target: Uint8Array, start: number, length: number): number {
  if (length < 15) return start
  let out = start
  let rest = length - 15
  while (rest >= 255) {
    target[out++] = 255
    rest -= 255
  }
  target[out++] = rest
  return out
}

/**
 * Decompresses one LZ4 block into `target` from `start` and returns the position after the output.
 * Matches may reach back to `windowStart`. Nothing is read outside `source` or written outside
 * `target`. Throws `InvalidPage` for a malformed block or one that does not fit.
 */
export function decompressBlock(
  source: Uint8Array,
  target: Uint8Array,
  start = 0,
  windowStart = start,
): number {
  const end = source.length
  const limit = target.length
  const from = new DataView(source.buffer, source.byteOffset, end)
  const to = new DataView(target.buffer, target.byteOffset, limit)
  let at = 0
  let out = start
  while (at < end) {
    const token = source[at++]!
    let literals = token >>> 4
    if (literals === 15) {
      let more = 255
      while (more === 255) {
        if (at >= end) throw malformed('literal length')
        more = source[at++]!
        literals += more
      }
    }
    if (literals > end - at || literals > limit - out) throw malformed('literals')
    if (literals <= 16 && end - at >= 16 && limit - out >= 16) {
      // Copying whole words past the end is cheaper; what follows in the target is written later.
      for (let word = 0; word < literals; word += 4) {
        to.setInt32(out + word, from.getInt32(at + word))
      }
    } else {
      target.set(source.subarray(at, at + literals), out)
    }
    at += literals
    out += literals
    if (at === end) return out
    if (end - at < 2) throw malformed('match offset')
    const offset = source[at]! | (source[at + 1]! << 8)
    at += 2
    if (offset === 0 || offset > out - windowStart) throw malformed('match offset')
    let length = (token & 15) + MIN_MATCH
    if (length === 15 + MIN_MATCH) {
      let more = 255
      while (more === 255) {
        if (at >= end) throw malformed('match length')
        more = source[at++]!
        length += more
      }
    }
    if (length > limit - out) throw malformed('match')
    if (offset >= 4 && length <= 32 && limit - out >= 32) {
      for (let word = out; word < out + length; word += 4) {
        to.setInt32(word, to.getInt32(word - offset))
      }
    } else {
      copyMatch(target, out, offset, length)
    }
    out += length
  }
  throw malformed('last literals')
}

function copyMatch(target: Uint8Array, start: number, offset: number, length: number): void {
  const end = start + length
  if (length <= 32) {
    for (let out = start; out < end; out++) target[out] = target[out - offset]!
    return
  }
  if (offset === 1) {
    target.fill(target[start - 1]!, start, end)
    return
  }
  // A match may overlap its own output; what is already written repeats, so the step doubles.
  const from = start - offset
  let done = start
  while (done < end) {
    const step = Math.min(done - from, end - done)
    target.copyWithin(done, from, from + step)
    done += step
  }
}

function malformed(part: string): LtxError {
  return new LtxError(
    'InvalidPage',
    `Expected a well-formed LZ4 block: its ${part} run out of bounds.`,
  )
}
