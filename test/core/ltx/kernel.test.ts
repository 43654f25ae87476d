import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  compressBlock,
  compressBound,
  decompressBlock,
} from '../../../src/core/ltx/codec/lz4-block.ts'
import { errorCode, PAGE_SIZES, pageData } from './ltx-samples.ts'

it('reads a damaged block as the format says, or refuses it, and writes nothing outside', () => {
  const damaged = fc
    .constantFrom(...PAGE_SIZES)
    .chain(pageData)
    .chain((page) =>
      fc.record({
        page: fc.constant(page),
        changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 2 }),
        cut: fc.nat(1),
      }),
    )
  let accepted = 0
  let refused = 0
  fc.assert(
    fc.property(damaged, ({ page, changes, cut }) => {
      const buffer = new Uint8Array(compressBound(page.length))
      const block = buffer.slice(0, compressBlock(page, buffer, 0) - cut)
      for (const [at, value] of changes) block[at % block.length] = value
      const expected = plainlyDecompressed(block, page.length)
      const target = new Uint8Array(page.length).fill(0xaa)
      if (expected === undefined) {
        expect(errorCode(() => decompressBlock(block, target))).toBe('InvalidPage')
        refused++
        return
      }
      const end = decompressBlock(block, target)
      expect(Buffer.compare(target.subarray(0, end), expected)).toBe(0)
      expect(target.subarray(end).every((byte) => byte === 0xaa)).toBe(true)
      accepted++
    }),
    { numRuns: 600 },
  )
  expect(accepted).toBeGreaterThan(10)
  expect(refused).toBeGreaterThan(10)
})

/** A byte at a time, straight from the description of the format; `undefined` for a malformed block. */
function plainlyDecompressed(block: Uint8Array, limit: number): Uint8Array | undefined {
  const out: number[] = []
  let at = 0
  const lengthFrom = (start: number): number | undefined => {
    let length = start
    if (start !== 15) return length
    for (;;) {
      const more = block[at++]
      if (more === undefined) return undefined
      length += more
      if (more < 255) return length
    }
  }
  while (at < block.length) {
    const token = block[at++]!
    const literals = lengthFrom(token >>> 4)
    if (literals === undefined || at + literals > block.length) return undefined
    if (out.length + literals > limit) return undefined
    for (let i = 0; i < literals; i++) out.push(block[at++]!)
    if (at === block.length) return Uint8Array.from(out)
    const offset = block[at]! | (block[at + 1]! << 8)
    at += 2
    if (at > block.length || offset === 0 || offset > out.length) return undefined
    const match = lengthFrom(token & 15)
    if (match === undefined || out.length + match + 4 > limit) return undefined
    for (let i = 0; i < match + 4; i++) out.push(out[out.length - offset]!)
  }
  return undefined
}
