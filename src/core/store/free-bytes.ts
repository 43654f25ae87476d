/** Smaller buffers are left to the garbage collector. */
const MIN_BYTES = 64 * 1024

/** Buffers that nobody but the receiver uses, and how many of their first bytes the receiver has. */
const givenAway = new WeakMap<ArrayBufferLike, number>()

/**
 * Marks bytes whose buffer was made for their receiver alone, so that it may free them. A store need
 * not do this, and must not if it keeps the bytes.
 */
export function giveAway<T extends Uint8Array>(bytes: T): T {
  const { buffer, byteOffset, byteLength } = bytes
  if (byteLength >= MIN_BYTES && byteOffset === 0) givenAway.set(buffer, byteLength)
  return bytes
}

/**
 * Gives the memory of bytes that were given away back at once; they must not be used again. Others
 * are left alone: a store may still have them. Left to the garbage collector, the chunks of a large
 * object cause one full collection after the other, which took a third of the processor time of a
 * restore.
 */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  const isWhole = buffer instanceof ArrayBuffer && givenAway.get(buffer) === byteLength
  if (isWhole) buffer.transfer(0)
}
