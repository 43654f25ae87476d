import { describe, expect, it } from 'vitest'
import { ChunkWriter } from '../../../src/core/ltx/chunk-writer.ts'
import { concat, expectSame, noise } from './ltx-samples.ts'

describe('ChunkWriter', () => {
  it('grows its chunks and gives room for what is larger', () => {
    const writer = new ChunkWriter()
    const parts = [10, 16_000, 16_000, 32_000, 64_000, 300_000, 5].map((size) => noise(size, size))
    for (const part of parts) writer.append(part)
    writer.flush()
    const chunks = writer.drain()
    expect(chunks.length).toBeGreaterThan(3)
    expectSame(concat(chunks), concat(parts))
    expect(writer.bytesWritten).toBe(concat(parts).length)
  })

  it('never touches a chunk after it is completed', () => {
    const writer = new ChunkWriter()
    writer.append(Uint8Array.of(1, 2, 3))
    writer.flush()
    const [first] = writer.drain()
    writer.append(Uint8Array.of(4, 5, 6))
    writer.flush()
    writer.flush()
    expect(first).toEqual(Uint8Array.of(1, 2, 3))
    expect(writer.drain()).toEqual([Uint8Array.of(4, 5, 6)])
    expect(writer.drain()).toEqual([])
  })
})
