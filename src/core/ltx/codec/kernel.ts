import { KERNEL_CODE } from './kernel-code.ts'

// The part of the global `WebAssembly` that is used here; the type libraries for Node do not declare it.
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly REGISTER: { readonly value: number }
  readonly INPUT: { readonly value: number }
  readonly OUTPUT: { readonly value: number }
  /** Extends the CRC in the register by bytes of the kernel's memory. */
  crc64(from: number, length: number): void
  /** Multiplies the register by x^(8 * length): moves a CRC in front of so many other bytes. */
  timesPower(length: number): void
  /** Replaces the seed in the register by the hash of bytes of the kernel's memory, a multiple of 32. */
  xxh64(from: number, length: number): void
  /** Compresses the first `length` bytes of the input; returns the length of the output. */
  compress(length: number): number
  /**
   * Decompresses the input after the first `start` bytes of the output; negative for a malformed
   * block.
   */
  decompress(length: number, start: number, limit: number): number
}

/**
 * The inner loops of the codec, compiled from assembly/codec-kernel.ts, with one input and one output
 * buffer for all callers: whoever fills one uses the result before anything is awaited.
 */
export const kernel: Kernel = new WebAssembly.Instance(
  new WebAssembly.Module(Buffer.from(KERNEL_CODE, 'base64')),
).exports as Kernel

/** All of the kernel's memory. */
export const memory: Uint8Array = new Uint8Array(kernel.memory.buffer)
/** The running CRC, or the seed and the result of a hash, little-endian. */
export const register: DataView = new DataView(kernel.memory.buffer, kernel.REGISTER.value, 8)
/** Where the input begins in `memory`, and how long it may be. */
export const INPUT: number = kernel.INPUT.value
export const INPUT_SIZE: number = 66_000
/** Where the output begins in `memory`. */
export const OUTPUT: number = kernel.OUTPUT.value
