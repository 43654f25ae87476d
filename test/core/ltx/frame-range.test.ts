import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frameBound, requiredFrameBytes } from '../../../src/core/ltx/codec/lz4-frame.ts'
import {
  decodeLtx,
  decodeRange,
  EMPTY_DATABASE_CHECKSUM,
  encodeLtx,
  FLAG_NO_CHECKSUM,
  hasChecksumOfPages,
  type LtxEncoding,
  type LtxHeader,
  type LtxPage,
  LtxRangeReader,
  type LtxTrailer,
  pageChecksum,
  pageFrameBound,
  pageHash,
  type RangeSums,
  toggleChecksum,
} from '../../../src/core/ltx/index.ts'
import { PAGE_HEADER_SIZE } from '../../../src/core/ltx/page-frame.ts'
import {
  concat,
  errorCode,
  expectSame,
  goldenFiles,
  hex,
  makeHeader,
  noise,
  PAGE_SIZES,
  pageData,
  rawLtx,
} from './ltx-samples.ts'

interface Cuts {
  /** Bytes of a chunk. */
  readonly chunk: number
  /** Page frames of a range. */
  readonly range: number
}

interface ReadInRanges {
  readonly header: LtxHeader
  readonly pages: readonly LtxPage[]
  readonly sums: readonly RangeSums[]
  readonly trailer: LtxTrailer
}

/** Reads a file as a restore does, but in ranges of any size, and its ranges from the last to the first. */
function readInRanges(
  bytes: Uint8Array,
  { chunk, range }: Cuts,
  isNeeded: (pgno: number) => boolean = () => true,
): ReadInRanges {
  let header: LtxHeader | undefined
  const frames: { readonly bytes: Uint8Array; readonly pgno: number }[] = []
  const reader = new LtxRangeReader({
    header: (read) => {
      header = read
    },
    frame: (pgno, bytes, start, end) => {
      frames.push({ pgno, bytes: Uint8Array.from(bytes.subarray(start, end)) })
    },
  })
  for (let at = 0; at < bytes.length; at += chunk) {
    // A buffer of its own, of which nothing is left afterwards.
    const own = Buffer.allocUnsafeSlow(Math.min(chunk, bytes.length - at))
    own.set(bytes.subarray(at, at + chunk))
    reader.write(own)
    own.fill(0xee)
  }
  reader.end()
  const ranges: (typeof frames)[] = []
  for (let at = 0; at < frames.length; at += range) ranges.push(frames.slice(at, at + range))
  const { pageSize } = header!
  const decoded = ranges.map((frames) => {
    for (const { bytes } of frames)
      expect(bytes.length).toBeLessThanOrEqual(pageFrameBound(pageSize))
    const pages: LtxPage[] = []
    const all = decodeRange({
      pageSize,
      frames: concat(frames.map(({ bytes }) => bytes)) as Uint8Array<ArrayBuffer>,
      needed: Uint8Array.from(frames, ({ pgno }) => (isNeeded(pgno) ? 1 : 0)),
      hasChecksum: hasChecksumOfPages(header!),
    })
    for (;;) {
      const next = all.next()
      if (next.done === true) return { pages, sums: next.value }
      const { pgno, data } = next.value
      pages.push({ pgno, data: Uint8Array.from(data) })
    }
  })
  const sums = decoded.map(({ sums }) => sums)
  const trailer = reader.verify(sums)
  return { header: header!, pages: decoded.flatMap(({ pages }) => pages), sums, trailer }
}

const cuts: fc.Arbitrary<Cuts> = fc.record({
  chunk: fc.integer({ min: 1, max: 70_000 }),
  range: fc.integer({ min: 1, max: 7 }),
})

const contents = fc
  .record({
    pageSize: fc.constantFrom(...PAGE_SIZES),
    encoding: fc.constantFrom('block' as const, 'frame' as const),
    hasChecksums: fc.boolean(),
  })
  .chain((shape) =>
    fc
      .array(pageData(shape.pageSize), { minLength: 1, maxLength: 12 })
      .map((pages) => ({ ...shape, pages })),
  )

describe('a file that is read in ranges', () => {
  it('has the same pages, header and trailer as one that is decoded at once', () => {
    fc.assert(
      fc.property(contents, cuts, (content, cuts) => {
        const bytes = encoded(content)
        const atOnce = decodeLtx(bytes)
        const { header, pages, trailer } = readInRanges(bytes, cuts)
        expect({ header, trailer }).toEqual({ header: atOnce.header, trailer: atOnce.trailer })
        expect(pages.length).toBe(atOnce.pages.length)
        for (const [i, { pgno, data }] of pages.entries()) {
          expect(pgno).toBe(atOnce.pages[i]!.pgno)
          expectSame(data, atOnce.pages[i]!.data)
        }
      }),
      { numRuns: 200 },
    )
  })

  it('yields and hashes the needed pages only, and verifies all of them', () => {
    const pages = Array.from({ length: 20 }, (_, i) => noise(512, i))
    const bytes = encoded({ pageSize: 512, encoding: 'block', hasChecksums: false, pages })
    const read = readInRanges(bytes, { chunk: 1000, range: 6 }, (pgno) => pgno % 3 === 0)
    expect(read.pages.map(({ pgno }) => pgno)).toEqual([3, 6, 9, 12, 15, 18])
    const hash = read.sums.reduce(
      (sum, range) => toggleChecksum(sum, range.hash),
      EMPTY_DATABASE_CHECKSUM,
    )
    expect(hash).toBe(
      read.pages.reduce(
        (sum, { pgno, data }) => toggleChecksum(sum, pageHash(pgno, data)),
        EMPTY_DATABASE_CHECKSUM,
      ),
    )
  })

  it.each(
    goldenFiles().map(({ encoding, name, bytes }) => ({ title: `${encoding} ${name}`, bytes })),
  )('$title: any damage is found, as when it is decoded at once', ({ bytes }) => {
    let found = 0
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [0x01, 0x80]) {
        const damaged = bytes.slice()
        damaged[at]! ^= change
        const atOnce = errorCode(() => decodeLtx(damaged))
        const inRanges = errorCode(() => readInRanges(damaged, { chunk: 97, range: 2 }))
        expect(inRanges === undefined).toBe(atOnce === undefined)
        if (inRanges !== undefined) found++
      }
    }
    expect(found).toBeGreaterThan(bytes.length * 1.9)
  })

  it('must have the checksum of its pages, where a snapshot has one', () => {
    const page = { pgno: 1, data: noise(512) }
    const header = makeHeader({ flags: 0 })
    const right = rawLtx(header, [page], { postApplyChecksum: pageChecksum(1, page.data) })
    expect(readInRanges(right, { chunk: 100, range: 1 }).pages).toEqual([page])
    const wrong = rawLtx(header, [page], { postApplyChecksum: pageChecksum(2, page.data) })
    expect(errorCode(() => readInRanges(wrong, { chunk: 100, range: 1 }))).toBe('ChecksumMismatch')
  })

  it('is incomplete before its trailer', () => {
    const bytes = encoded({
      pageSize: 512,
      encoding: 'block',
      hasChecksums: false,
      pages: [noise(512)],
    })
    expect(errorCode(() => readInRanges(bytes.subarray(0, -1), { chunk: 100, range: 1 }))).toBe(
      'Truncated',
    )
  })
})

it('has room for the longest LZ4 frame that a reader accepts', () => {
  // Stored blocks, up to the last byte where one may end, and then the end mark and the checksum.
  const blocks = 2 * frameBound(512) - 7
  const sizes = [...Array.from({ length: 3 }, () => 300), blocks - 3 * 304 - 4]
  const frame = concat([
    hex('04 22 4d 18 64 40 a7'),
    ...sizes.map((size) => {
      const block = new Uint8Array(4 + size)
      new DataView(block.buffer).setUint32(0, (size | 0x80000000) >>> 0, true)
      return block
    }),
    new Uint8Array(8),
  ])
  expect(requiredFrameBytes(frame, 512)).toBe(frame.length)
  expect(PAGE_HEADER_SIZE + frame.length).toBe(pageFrameBound(512))
})

interface Content {
  readonly pageSize: number
  readonly encoding: LtxEncoding
  readonly hasChecksums: boolean
  readonly pages: readonly Uint8Array[]
}

function encoded({ pageSize, encoding, hasChecksums, pages }: Content): Uint8Array {
  const flags = hasChecksums ? 0 : FLAG_NO_CHECKSUM
  const numbered = pages.map((data, i) => ({ pgno: i + 1, data }))
  const postApplyChecksum = hasChecksums
    ? numbered.reduce(
        (sum, { pgno, data }) => toggleChecksum(sum, pageChecksum(pgno, data)),
        EMPTY_DATABASE_CHECKSUM,
      )
    : 0n
  const header = makeHeader({ flags, pageSize, commit: pages.length })
  return encodeLtx(header, numbered, { encoding, postApplyChecksum })
}
