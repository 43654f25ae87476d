import { describe, expect, it } from 'vitest'
import { freeBytes, giveAway } from '../../../src/core/store/free-bytes.ts'

const SIZE = 256 * 1024

describe('freeBytes', () => {
  it('frees the memory of bytes that were given away with a buffer of their own', () => {
    const bytes = giveAway(new Uint8Array(SIZE))
    freeBytes(bytes)
    expect(bytes.buffer.detached).toBe(true)
  })

  it('frees a buffer of which only the beginning was used', () => {
    const bytes = giveAway(new Uint8Array(2 * SIZE).subarray(0, SIZE))
    freeBytes(bytes)
    expect(bytes.buffer.detached).toBe(true)
  })

  it.each([
    ['bytes that a store may still have', new Uint8Array(SIZE)],
    ['a part of a buffer', giveAway(new Uint8Array(2 * SIZE)).subarray(0, SIZE)],
    ['a later part of a buffer', giveAway(new Uint8Array(2 * SIZE).subarray(SIZE))],
    ['a small chunk', giveAway(new Uint8Array(10))],
    ['shared memory', giveAway(new Uint8Array(new SharedArrayBuffer(SIZE)))],
  ])('leaves %s alone', (_, bytes) => {
    bytes.fill(7)
    freeBytes(bytes)
    expect(bytes.every((byte) => byte === 7)).toBe(true)
    expect(bytes.length).toBeGreaterThan(0)
  })
})
