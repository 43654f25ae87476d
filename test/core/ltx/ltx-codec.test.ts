import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeLtx,
  decodePageIndex,
  encodeLtx,
  FLAG_NO_CHECKSUM,
  LtxDecoder,
  LtxEncoder,
  type LtxHeader,
  type LtxPage,
  pageChecksum,
  toggleChecksum,
  txid,
} from '../../../src/core/ltx/index.ts'
import {
  concat,
  errorCode,
  expectSame,
  filled,
  makeHeader,
  noise,
  PAGE_SIZES,
  pageData,
  split,
} from './ltx-samples.ts'

interface File {
  readonly header: LtxHeader
  readonly pages: LtxPage[]
  readonly encoding: 'block' | 'frame'
  readonly postApplyChecksum: bigint
}

const file: fc.Arbitrary<File> = fc
  .record({
    pageSize: fc.constantFrom(...PAGE_SIZES),
    snapshot: fc.boolean(),
    checksums: fc.boolean(),
    encoding: fc.constantFrom('block' as const, 'frame' as const),
    gaps: fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 6 }),
    spare: fc.nat(5),
  })
  .chain(({ pageSize, snapshot, checksums, encoding, gaps, spare }) =>
    fc.array(pageData(pageSize), { minLength: gaps.length, maxLength: gaps.length }).map((data) => {
      let pgno = 0
      const pages = data.map((data, index) => {
        pgno += snapshot ? 1 : gaps[index]!
        return { pgno, data }
      })
      const commit = snapshot ? pgno : pgno + spare + 1
      const flags = checksums || commit === 0 ? 0 : FLAG_NO_CHECKSUM
      const sum = pages.reduce(
        (sum, { pgno, data }) => toggleChecksum(sum, pageChecksum(pgno, data)),
        1n << 63n,
      )
      const header = makeHeader({
        flags,
        pageSize,
        commit,
        minTxid: txid(snapshot ? 1 : 7),
        maxTxid: txid(9),
        preApplyChecksum: flags === 0 && !snapshot ? (1n << 63n) | 5n : 0n,
      })
      return { header, pages, encoding, postApplyChecksum: flags === 0 ? sum : 0n }
    }),
  )

describe('LtxEncoder and LtxDecoder', () => {
  it('return what was encoded, for chunks of any size', () => {
    fc.assert(
      fc.property(file, fc.integer({ min: 1, max: 200_000 }), (file, chunkSize) => {
        const bytes = encodeLtx(file.header, file.pages, file)
        const decoder = new LtxDecoder()
        const pages = split(bytes, chunkSize).flatMap((chunk) => decoder.write(chunk))
        const trailer = decoder.end()
        expect(decoder.header).toEqual(file.header)
        expect(trailer.postApplyChecksum).toBe(file.postApplyChecksum)
        expectPages(pages, file.pages)
      }),
    )
  })

  it('give back what they got, byte by byte', () => {
    for (const encoding of ['block', 'frame'] as const) {
      const pages = [filled(1, 1), { pgno: 3, data: noise(512) }, filled(900, 9)]
      const header = makeHeader({ commit: 900, minTxid: txid(2) })
      const decoder = new LtxDecoder()
      const decoded = split(encodeLtx(header, pages, { encoding }), 1).flatMap((byte) =>
        decoder.write(byte),
      )
      decoder.end()
      expectPages(decoded, pages)
    }
  })

  it('find every page through the index too', () => {
    fc.assert(
      fc.property(file, (file) => {
        const bytes = encodeLtx(file.header, file.pages, file)
        const view = new DataView(bytes.buffer)
        const end = bytes.length - 16
        const length = Number(view.getBigUint64(end - 8))
        const entries = decodePageIndex(bytes.subarray(end - 8 - length, end))
        expect(entries.map((entry) => entry.pgno)).toEqual(file.pages.map((page) => page.pgno))
        let offset = 100
        for (const entry of entries) {
          expect(entry.offset).toBe(offset)
          expect(view.getUint32(entry.offset)).toBe(entry.pgno)
          offset += entry.size
        }
        expect(offset + 6).toBe(end - 8 - length)
      }),
    )
  })

  it('decode pages into memory that later chunks leave alone', () => {
    const header = makeHeader({ commit: 200 })
    const pages = Array.from({ length: 200 }, (_, at) => filled(at + 1, at))
    const decoder = new LtxDecoder()
    const decoded: LtxPage[] = []
    for (const chunk of split(encodeLtx(header, pages), 50)) {
      const reused = chunk.slice()
      decoded.push(...decoder.write(reused))
      reused.fill(0xee)
    }
    decoder.end()
    expectPages(decoded, pages)
  })
})

describe('LtxEncoder', () => {
  it('hands out its output in chunks, each only once, and does not touch them afterwards', () => {
    const encoder = new LtxEncoder(makeHeader({ pageSize: 4096, commit: 400 }))
    const chunks: Uint8Array[] = []
    const copies: Uint8Array[] = []
    for (let pgno = 1; pgno <= 400; pgno++) {
      encoder.encodePage(pgno, noise(4096, pgno))
      for (const chunk of encoder.drain()) {
        chunks.push(chunk)
        copies.push(chunk.slice())
      }
    }
    expect(chunks.length).toBeGreaterThan(4)
    encoder.finish()
    const rest = encoder.drain()
    expect(encoder.drain()).toEqual([])
    for (const chunk of [...chunks, ...rest]) expect(chunk.length).toBeLessThanOrEqual(256 * 1024)
    const bytes = concat([...chunks, ...rest])
    expect(bytes).toHaveLength(encoder.bytesWritten)
    expectSame(concat(chunks), concat(copies))
    expect(decodeLtx(bytes).pages).toHaveLength(400)
  })

  it.each<[string, Partial<LtxHeader>, LtxPage[], string]>([
    ['page 0', {}, [filled(0, 0)], 'InvalidPage'],
    ['a fractional page', {}, [filled(0.5, 0)], 'InvalidPage'],
    ['a page above the commit', {}, [filled(1, 0), filled(2, 0)], 'InvalidPage'],
    ['a page of the wrong size', {}, [filled(1, 0, 511)], 'InvalidPage'],
    ['a snapshot that starts at page 2', { commit: 2 }, [filled(2, 0)], 'MissingPage'],
    ['a snapshot with a gap', { commit: 3 }, [filled(1, 0), filled(3, 0)], 'MissingPage'],
    ['a snapshot that ends early', { commit: 2 }, [filled(1, 0)], 'MissingPage'],
    ['a snapshot without pages', { commit: 2 }, [], 'MissingPage'],
    ['a page twice', { commit: 3, minTxid: txid(2) }, [filled(2, 0), filled(2, 0)], 'OutOfOrder'],
    [
      'descending pages',
      { commit: 3, minTxid: txid(2) },
      [filled(3, 0), filled(2, 0)],
      'OutOfOrder',
    ],
    ['commit 0 without checksums', { commit: 0 }, [], 'Unencodable'],
    ['an invalid header', { pageSize: 1000 }, [], 'InvalidHeader'],
    ['no post-apply checksum where one is needed', { flags: 0 }, [filled(1, 0)], 'InvalidTrailer'],
  ])('refuses %s', (_, changes, pages, code) => {
    expect(errorCode(() => encodeLtx(makeHeader(changes), pages))).toBe(code)
  })

  it('refuses post-apply checksums that are not needed, malformed or wrong', () => {
    const finish = (flags: number, commit: number, postApplyChecksum: bigint) => {
      const pages = commit === 0 ? [] : [filled(1, 0x31)]
      return errorCode(() => encodeLtx(makeHeader({ flags, commit }), pages, { postApplyChecksum }))
    }
    expect(finish(2, 1, 1n << 63n)).toBe('InvalidTrailer')
    expect(finish(0, 1, 1n)).toBe('InvalidTrailer')
    expect(finish(0, 1, 1n << 63n)).toBe('ChecksumMismatch')
    expect(finish(0, 0, (1n << 63n) | 1n)).toBe('InvalidTrailer')
    expect(finish(0, 1, 0xeb1a999231044dddn)).toBeUndefined()
    expect(finish(0, 0, 1n << 63n)).toBeUndefined()
  })

  it('takes nothing after its end', () => {
    const encoder = new LtxEncoder(makeHeader())
    encoder.encodePage(1, new Uint8Array(512))
    encoder.finish()
    expect(errorCode(() => encoder.encodePage(2, new Uint8Array(512)))).toBe('Closed')
    expect(errorCode(() => encoder.finish())).toBe('Closed')
  })
})

function expectPages(actual: readonly LtxPage[], expected: readonly LtxPage[]): void {
  expect(actual.map((page) => page.pgno)).toEqual(expected.map((page) => page.pgno))
  for (const [index, page] of actual.entries()) expectSame(page.data, expected[index]!.data)
}
