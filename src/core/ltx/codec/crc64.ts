/**
 * CRC-64/GO-ISO: polynomial x^64 + x^4 + x^3 + x + 1, reflected, initial value and final XOR all
 * ones. The register is kept as two 32-bit halves, because `bigint` arithmetic is a hundred times
 * slower.
 */
export class Crc64 {
  #lo = -1
  #hi = -1

  update(bytes: Uint8Array): this {
    const end = bytes.length
    let lo = this.#lo
    let hi = this.#hi
    let at = 0
    if (end >= VIEW_WORTH_IT) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, end)
      const whole = end & ~7
      // The polynomial has so few terms that folding 8 bytes takes a few shifts and no table:
      // x^64 = x^4 + x^3 + x + 1, and the up to 4 bits that leave the register fold in the same way.
      while (at < whole) {
        lo ^= view.getInt32(at, true)
        hi ^= view.getInt32(at + 4, true)
        const out = (lo << 31) ^ (lo << 29) ^ (lo << 28)
        lo ^= ((lo >>> 1) | (hi << 31)) ^ ((lo >>> 3) | (hi << 29)) ^ ((lo >>> 4) | (hi << 28))
        hi ^= (hi >>> 1) ^ (hi >>> 3) ^ (hi >>> 4) ^ out ^ (out >>> 1) ^ (out >>> 3) ^ (out >>> 4)
        at += 8
      }
    }
    while (at < end) {
      const top = TABLE[(lo ^ bytes[at]!) & 0xff]!
      lo = (lo >>> 8) | (hi << 24)
      hi = (hi >>> 8) ^ top
      at++
    }
    this.#lo = lo
    this.#hi = hi
    return this
  }

  /** The CRC of everything so far; more updates may follow. */
  digest(): bigint {
    return (BigInt(~this.#hi >>> 0) << 32n) | BigInt(~this.#lo >>> 0)
  }
}

// Below this many bytes, making the view costs more than it saves.
const VIEW_WORTH_IT = 64

// High halves only: with this polynomial the low half of every entry is zero.
const TABLE = Int32Array.from({ length: 256 }, (_, index) => {
  let high = 0
  for (let bit = 0; bit < 8; bit++) {
    high = (high >>> 1) ^ ((index >>> bit) & 1 ? 0xd8000000 : 0)
  }
  return high
})
