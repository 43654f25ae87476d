import { describe, expect, it } from 'vitest'
import { freeBytes } from '../../../src/core/replica/free-bytes.ts'

const SIZE = 256 * 1024

describe('freeBytes', () => {
  it('frees the memory of a chunk that has a buffer of its own', () => {
    const bytes = new Uint8Array(SIZE)
    freeBytes(bytes)
    expect(bytes.buffer.detached).toBe(true)
  })

  it.each([
    ['a part of a buffer', new Uint8Array(2 * SIZE).subarray(0, SIZE)],
    ['a small chunk', new Uint8Array(10)],
    ['shared memory', new Uint8Array(new SharedArrayBuffer(SIZE))],
  ])('leaves %s alone', (_, bytes) => {
    bytes.fill(7)
    freeBytes(bytes)
    expect(bytes.every((byte) => byte === 7)).toBe(true)
    expect(bytes.length).toBeGreaterThan(0)
  })
})
