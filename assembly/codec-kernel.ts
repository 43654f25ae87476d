/**
 * The inner loops of the LTX codec, in AssemblyScript: LZ4 blocks, CRC-64 and XXH64. WebAssembly has 64-bit integers,
 * 128-bit vectors and no bounds check a byte, which makes these loops 2 to 7 times as fast as in JavaScript.
 *
 * `npm run kernel` compiles this file into src/core/ltx/codec/kernel-code.ts; a test holds both against
 * each other. The module imports nothing and sees nothing but its own three pages of memory: two buffers,
 * which the caller fills and reads (src/core/ltx/codec/kernel.ts), and the tables below.
 */

/** The running CRC, or the seed and the result of a hash: 8 bytes. */
export const REGISTER: usize = 0
/** Hash table of the compressor: 2 bytes for each of 2^HASH_BITS slots. */
const TABLE: usize = 0x1000
/** What is read. The bytes before it are free for a prefix that a checksum covers; the bytes behind it are slack. */
export const INPUT: usize = 0x4000
/** What is written. Loops may write up to 16 bytes more than they claim. */
export const OUTPUT: usize = 0x18000

const HASH_BITS: u32 = 12
const MIN_MATCH: usize = 4
const LAST_LITERALS: usize = 5
/** The last match must start at least this many bytes before the end (LZ4 block format, end conditions). */
const MATCH_MARGIN: usize = 12
const SKIP_BITS: u32 = 6

// ---- CRC-64/GO-ISO: polynomial x^64 + x^4 + x^3 + x + 1, reflected ----------------------------------

/** Multiplies by x^64 = x^4 + x^3 + x + 1, and folds the up to 4 bits that leave the register in the same way. */
// @ts-expect-error: decorator
@inline
function times64(s: u64): u64 {
  const out = (s << 63) ^ (s << 61) ^ (s << 60)
  return s ^ (s >> 1) ^ (s >> 3) ^ (s >> 4) ^ fold(out)
}

/** The same for two words and x^512 = x^32 + x^24 + x^8 + 1: squaring keeps the number of terms. */
// @ts-expect-error: decorator
@inline
function times512(s: v128): v128 {
  const out = xor3(i64x2.shl(s, 32), i64x2.shl(s, 40), i64x2.shl(s, 56))
  const low = xor3(i64x2.shr_u(s, 8), i64x2.shr_u(s, 24), i64x2.shr_u(s, 32))
  const folded = xor3(i64x2.shr_u(out, 1), i64x2.shr_u(out, 3), i64x2.shr_u(out, 4))
  return xor3(v128.xor(s, low), out, folded)
}

// @ts-expect-error: decorator
@inline
function xor3(a: v128, b: v128, c: v128): v128 {
  return v128.xor(v128.xor(a, b), c)
}

/** Multiplies what left the register by x^64. */
// @ts-expect-error: decorator
@inline
function fold(out: u64): u64 {
  return out ^ (out >> 1) ^ (out >> 3) ^ (out >> 4)
}

/** Extends `s` by two words. */
// @ts-expect-error: decorator
@inline
function both(s: u64, words: v128): u64 {
  return times64(times64(s ^ i64x2.extract_lane(words, 0)) ^ i64x2.extract_lane(words, 1))
}

/** Multiplies the register by x^(8 * length), a polynomial as the CRC itself: the highest bit is the coefficient of x^0. */
export function timesPower(length: f64): void {
  let product = load<u64>(REGISTER)
  let power: u64 = 1 << 55
  for (let rest = <u64>length; rest != 0; rest >>= 1) {
    if (rest & 1) product = times(product, power)
    power = times(power, power)
  }
  store<u64>(REGISTER, product)
}

function times(a: u64, b: u64): u64 {
  let product: u64 = 0
  for (let rest = a; rest != 0; rest <<= 1) {
    product ^= b & (0 - (rest >> 63))
    b = (b >> 1) ^ (0xd800_0000_0000_0000 & (0 - (b & 1)))
  }
  return product
}

/** Extends the register by `length` bytes from `from`. */
export function crc64(from: usize, length: usize): void {
  const end = from + length
  let at = from
  let s = load<u64>(REGISTER)
  if (length >= 128) {
    // Eight words at a time, each folded by itself, so that they need not wait for one another.
    let a = v128.xor(v128.load(at), i64x2.replace_lane(i64x2.splat(0), 0, s))
    let b = v128.load(at, 16)
    let c = v128.load(at, 32)
    let d = v128.load(at, 48)
    at += 64
    for (; at + 64 <= end; at += 64) {
      a = v128.xor(times512(a), v128.load(at))
      b = v128.xor(times512(b), v128.load(at, 16))
      c = v128.xor(times512(c), v128.load(at, 32))
      d = v128.xor(times512(d), v128.load(at, 48))
    }
    s = both(both(both(both(0, a), b), c), d)
  }
  for (; at + 8 <= end; at += 8) s = times64(s ^ load<u64>(at))
  for (; at < end; at++) {
    s ^= load<u8>(at)
    s = (s >> 8) ^ fold(s << 56)
  }
  store<u64>(REGISTER, s)
}

// ---- XXH64: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md ------------------------------

const PRIME_1: u64 = 0x9e3779b185ebca87
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f
const PRIME_3: u64 = 0x165667b19e3779f9
const PRIME_4: u64 = 0x85ebca77c2b2ae63

/** Replaces the seed in the register by the hash of `length` bytes from `from`, a multiple of 32 and not 0. */
export function xxh64(from: usize, length: usize): void {
  const seed = load<u64>(REGISTER)
  const end = from + length
  let a = seed + PRIME_1 + PRIME_2
  let b = seed + PRIME_2
  let c = seed
  let d = seed - PRIME_1
  for (let at = from; at < end; at += 32) {
    a = round(a, load<u64>(at))
    b = round(b, load<u64>(at, 8))
    c = round(c, load<u64>(at, 16))
    d = round(d, load<u64>(at, 24))
  }
  let hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18)
  hash = merge(merge(merge(merge(hash, a), b), c), d) + <u64>length
  hash = (hash ^ (hash >> 33)) * PRIME_2
  hash = (hash ^ (hash >> 29)) * PRIME_3
  store<u64>(REGISTER, hash ^ (hash >> 32))
}

// @ts-expect-error: decorator
@inline
function round(lane: u64, word: u64): u64 {
  return rotl<u64>(lane + word * PRIME_2, 31) * PRIME_1
}

// @ts-expect-error: decorator
@inline
function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4
}

// ---- LZ4 blocks: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md ---------------------------

/** Compresses the first `length` bytes of the input, at most 64 KiB, and returns the length of the output. */
export function compress(length: usize): usize {
  // An entry of 0 means position 0 or nothing; both are safe, because every candidate is compared before use.
  memory.fill(TABLE, 0, (<usize>2) << HASH_BITS)
  const end = INPUT + length
  let out = OUTPUT
  let anchor = INPUT
  if (length > MATCH_MARGIN) {
    const matchEnd = end - LAST_LITERALS
    const lastStart = end - MATCH_MARGIN
    let at = INPUT + 1
    let attempts: u32 = 1 << SKIP_BITS
    while (at <= lastStart) {
      const sequence = load<u32>(at)
      const slot = slotOf(sequence)
      let candidate = INPUT + load<u16>(slot)
      store<u16>(slot, <u16>(at - INPUT))
      if (load<u32>(candidate) != sequence) {
        // Incompressible stretches are crossed with growing steps.
        at += attempts++ >>> SKIP_BITS
        continue
      }
      while (at > anchor && candidate > INPUT && load<u8>(at - 1) == load<u8>(candidate - 1)) {
        at--
        candidate--
      }
      const start = at
      const offset = at - candidate
      at = matchUntil(at + MIN_MATCH, offset, matchEnd)
      const extra = at - start - MIN_MATCH
      out = writeLiterals(out, anchor, start - anchor, extra)
      store<u16>(out, <u16>offset)
      out = writeExtra(out + 2, extra)
      anchor = at
      attempts = 1 << SKIP_BITS
      if (at <= lastStart) store<u16>(slotOf(load<u32>(at - 2)), <u16>(at - 2 - INPUT))
    }
  }
  return writeLiterals(out, anchor, end - anchor, 0) - OUTPUT
}

// @ts-expect-error: decorator
@inline
function slotOf(sequence: u32): usize {
  return TABLE + ((<usize>((sequence * 0x9e3779b1) >>> (32 - HASH_BITS))) << 1)
}

/** Where the bytes from `from` stop to equal those `offset` before them. */
// @ts-expect-error: decorator
@inline
function matchUntil(from: usize, offset: usize, end: usize): usize {
  let at = from
  for (; at + 8 <= end; at += 8) {
    const difference = load<u64>(at) ^ load<u64>(at - offset)
    if (difference != 0) return at + <usize>(ctz(difference) >>> 3)
  }
  while (at < end && load<u8>(at) == load<u8>(at - offset)) at++
  return at
}

/** Writes the token, the literals and their extra length bytes. */
// @ts-expect-error: decorator
@inline
function writeLiterals(to: usize, from: usize, count: usize, matchExtra: usize): usize {
  store<u8>(to, (min<usize>(count, 15) << 4) | min<usize>(matchExtra, 15))
  const out = writeExtra(to + 1, count)
  if (count <= 16) copy16(out, from)
  else memory.copy(out, from, count)
  return out + count
}

/** Lengths of 15 and more continue in bytes of 255 and a rest. */
// @ts-expect-error: decorator
@inline
function writeExtra(to: usize, length: usize): usize {
  if (length < 15) return to
  let out = to
  let rest = length - 15
  for (; rest >= 255; rest -= 255) store<u8>(out++, 255)
  store<u8>(out++, rest)
  return out
}

/** What a malformed block returns, by the part of it that runs out of bounds. */
const BAD_LITERAL_LENGTH: i32 = -1
const BAD_LITERALS: i32 = -2
const BAD_OFFSET: i32 = -3
const BAD_MATCH_LENGTH: i32 = -4
const BAD_MATCH: i32 = -5
const NO_LAST_LITERALS: i32 = -6

/**
 * Decompresses the first `length` bytes of the input behind the first `start` bytes of the output, up to
 * `limit` bytes of it, and returns the length of the output. Matches may reach back to its first byte.
 * Negative for a malformed block or one that does not fit.
 */
export function decompress(length: usize, start: usize, limit: usize): i32 {
  const end = INPUT + length
  const outEnd = OUTPUT + limit
  let at = INPUT
  let out = OUTPUT + start
  while (at < end) {
    const token: u32 = load<u8>(at++)
    let literals: usize = token >>> 4
    if (literals == 15) {
      let more: u32
      do {
        if (at >= end) return BAD_LITERAL_LENGTH
        more = load<u8>(at++)
        literals += more
      } while (more == 255)
    }
    if (literals > end - at || literals > outEnd - out) return BAD_LITERALS
    if (literals <= 16) copy16(out, at)
    else memory.copy(out, at, literals)
    at += literals
    out += literals
    if (at == end) return <i32>(out - OUTPUT)
    if (end - at < 2) return BAD_OFFSET
    const offset: usize = load<u16>(at)
    at += 2
    if (offset == 0 || offset > out - OUTPUT) return BAD_OFFSET
    let match = <usize>(token & 15) + MIN_MATCH
    if (match == 15 + MIN_MATCH) {
      let more: u32
      do {
        if (at >= end) return BAD_MATCH_LENGTH
        more = load<u8>(at++)
        match += more
      } while (more == 255)
    }
    if (match > outEnd - out) return BAD_MATCH
    copyMatch(out, offset, match)
    out += match
  }
  return NO_LAST_LITERALS
}

/** A match may overlap its own output: what is already written repeats. */
// @ts-expect-error: decorator
@inline
function copyMatch(to: usize, offset: usize, length: usize): void {
  const end = to + length
  let out = to
  if (offset >= 16) {
    do {
      copy16(out, out - offset)
      out += 16
    } while (out < end)
  } else if (offset >= 8) {
    do {
      store<u64>(out, load<u64>(out - offset))
      out += 8
    } while (out < end)
  } else if (offset == 1) {
    memory.fill(out, load<u8>(out - 1), length)
  } else {
    do {
      store<u8>(out, load<u8>(out - offset))
      out++
    } while (out < end)
  }
}

// @ts-expect-error: decorator
@inline
function copy16(to: usize, from: usize): void {
  v128.store(to, v128.load(from))
}
