import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeLtx, LtxEncoder, pageHash, RangeEncoder } from '../../../src/core/ltx/index.ts'
import { concat, errorCode, makeHeader, noise, pageData } from './ltx-samples.ts'

const snapshot = fc
  .record({
    pageSize: fc.constantFrom(512, 1024, 4096),
    lengths: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  })
  .chain(({ pageSize, lengths }) => {
    const commit = lengths.reduce((sum, length) => sum + length, 0)
    return fc
      .array(pageData(pageSize), { minLength: commit, maxLength: commit })
      .map((pages) => ({ pageSize, lengths, pages }))
  })

describe('pages that were encoded in ranges', () => {
  it('make the same file as pages that were encoded one by one', () => {
    fc.assert(
      fc.property(snapshot, ({ pageSize, lengths, pages }) => {
        const header = makeHeader({ pageSize, commit: pages.length })
        const numbered = pages.map((data, i) => ({ pgno: i + 1, data }))
        const encoder = new LtxEncoder(header)
        const ranges = new RangeEncoder(pageSize)
        let first = 1
        for (const length of lengths) {
          const data = concat(pages.slice(first - 1, first - 1 + length))
          const range = ranges.encode(first, data)
          expect([...range.sums]).toEqual(
            numbered
              .slice(first - 1, first - 1 + length)
              .map(({ pgno, data }) => pageHash(pgno, data)),
          )
          encoder.appendRange(range)
          first += length
        }
        encoder.finish()
        expect(Buffer.concat(encoder.drain())).toEqual(Buffer.from(encodeLtx(header, numbered)))
      }),
      { numRuns: 30 },
    )
  })

  it('can have the largest pages, however badly they compress', () => {
    const pages = [noise(65536, 1), noise(65536, 2)]
    const header = makeHeader({ pageSize: 65536, commit: 2 })
    const encoder = new LtxEncoder(header)
    encoder.appendRange(new RangeEncoder(65536).encode(1, concat(pages)))
    encoder.finish()
    const numbered = pages.map((data, i) => ({ pgno: i + 1, data }))
    expect(Buffer.concat(encoder.drain())).toEqual(Buffer.from(encodeLtx(header, numbered)))
  })

  it('are refused if they do not continue the file, or cannot have its checksums', () => {
    const encoder = new LtxEncoder(makeHeader({ commit: 4 }))
    const ranges = new RangeEncoder(512)
    encoder.appendRange(ranges.encode(1, new Uint8Array(1024)))
    const again = ranges.encode(2, new Uint8Array(512))
    expect(errorCode(() => encoder.appendRange(again))).toBe('OutOfOrder')
    const checked = new LtxEncoder(makeHeader({ flags: 0 }))
    const range = ranges.encode(1, new Uint8Array(512))
    expect(errorCode(() => checked.appendRange(range))).toBe('Unencodable')
    const beyond = ranges.encode(4, new Uint8Array(512))
    expect(errorCode(() => encoder.appendRange(beyond))).toBe('MissingPage')
  })
})
