import { LtxError } from '../ltx-error.ts'
import { INPUT, INPUT_SIZE, kernel, memory, OUTPUT } from './kernel.ts'

/** Largest block that `n` bytes can compress to; LZ4's own bound. */
export function compressBound(n: number): number {
  return n + Math.floor(n / 255) + 16
}

/** Longest content of a block, in bytes: the largest SQLite page. */
export const MAX_BLOCK_INPUT = 65536

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
  memory.set(source, INPUT)
  const size = kernel.compress(length)
  target.set(memory.subarray(OUTPUT, OUTPUT + size), start)
  return start + size
}

/**
 * Decompresses one LZ4 block into `target` from `start` and returns the position after the output.
 * Matches may reach back to `windowStart`. Nothing is read outside `source` or written outside
 * `target`. Throws `InvalidPage` for a malformed block or one that does not fit, and
 * `InvalidArgument` if `target` has more than 64 KiB behind `windowStart`.
 */
export function decompressBlock(
  source: Uint8Array,
  target: Uint8Array,
  start = 0,
  windowStart = start,
): number {
  const limit = target.length - windowStart
  if (limit > MAX_BLOCK_INPUT) {
    throw new LtxError('InvalidArgument', `Cannot decompress into ${limit} bytes.`)
  }
  if (source.length > INPUT_SIZE) throw malformedBlock(BAD_LITERALS)
  memory.set(source, INPUT)
  if (windowStart < start) memory.set(target.subarray(windowStart, start), OUTPUT)
  const size = kernel.decompress(source.length, start - windowStart, limit)
  if (size < 0) throw malformedBlock(size)
  target.set(memory.subarray(OUTPUT + start - windowStart, OUTPUT + size), start)
  return windowStart + size
}

const BAD_LITERALS = -2
/** What runs out of bounds, by the kernel's negative result. */
const BAD_PARTS = [
  '',
  'literal length',
  'literals',
  'match offset',
  'match length',
  'match',
  'last literals',
]

/** @param result of the kernel, negative */
export function malformedBlock(result: number): LtxError {
  return new LtxError(
    'InvalidPage',
    `Expected a well-formed LZ4 block: its ${BAD_PARTS[-result]} run out of bounds.`,
  )
}
