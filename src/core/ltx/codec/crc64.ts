import { INPUT, INPUT_SIZE, kernel, memory, register } from './kernel.ts'

/**
 * CRC-64/GO-ISO: polynomial x^64 + x^4 + x^3 + x + 1, reflected, initial value and final XOR all
 * ones. The register is kept as two 32-bit halves, because `bigint` arithmetic is a hundred times
 * slower.
 */
export class Crc64 {
  #lo = -1
  #hi = -1

  update(bytes: Uint8Array): this {
    if (bytes.length < KERNEL_WORTH_IT) this.#updateByTable(bytes)
    else if (bytes.length <= INPUT_SIZE) this.#updateByKernel(bytes)
    else {
      for (let at = 0; at < bytes.length; at += INPUT_SIZE) {
        this.#updateByKernel(bytes.subarray(at, at + INPUT_SIZE))
      }
    }
    return this
  }

  /** Extends the CRC by bytes that lie in the kernel's memory. */
  updateInKernel(from: number, length: number): void {
    register.setInt32(0, this.#lo, true)
    register.setInt32(4, this.#hi, true)
    kernel.crc64(from, length)
    this.#lo = register.getInt32(0, true)
    this.#hi = register.getInt32(4, true)
  }

  /**
   * Extends the CRC by bytes of which only the length and their own CRC are known: another thread
   * may have computed it.
   */
  append(crc: bigint, length: number): this {
    register.setBigUint64(0, this.digest(), true)
    kernel.timesPower(length)
    const joined = register.getBigUint64(0, true) ^ crc
    this.#lo = ~Number(joined & 0xffff_ffffn)
    this.#hi = ~Number(joined >> 32n)
    return this
  }

  /** The CRC of everything so far; more updates may follow. */
  digest(): bigint {
    return (BigInt(~this.#hi >>> 0) << 32n) | BigInt(~this.#lo >>> 0)
  }

  #updateByKernel(bytes: Uint8Array): void {
    memory.set(bytes, INPUT)
    this.updateInKernel(INPUT, bytes.length)
  }

  #updateByTable(bytes: Uint8Array): void {
    let lo = this.#lo
    let hi = this.#hi
    for (let at = 0; at < bytes.length; at++) {
      const top = TABLE[(lo ^ bytes[at]!) & 0xff]!
      lo = (lo >>> 8) | (hi << 24)
      hi = (hi >>> 8) ^ top
    }
    this.#lo = lo
    this.#hi = hi
  }
}

// Below this many bytes, the way into the kernel's memory costs more than it saves.
const KERNEL_WORTH_IT = 64

// High halves only: with this polynomial the low half of every entry is zero.
const TABLE = Int32Array.from({ length: 256 }, (_, index) => {
  let high = 0
  for (let bit = 0; bit < 8; bit++) {
    high = (high >>> 1) ^ ((index >>> bit) & 1 ? 0xd8000000 : 0)
  }
  return high
})
