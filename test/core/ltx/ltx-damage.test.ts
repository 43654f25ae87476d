import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeLtx,
  encodeLtx,
  encodeLtxHeader,
  LtxDecoder,
  LtxError,
  type LtxErrorCode,
  type LtxHeader,
  type LtxPage,
  lockPage,
  type TXID,
  txid,
} from '../../../src/core/ltx/index.ts'
import { PageIndexBuilder } from '../../../src/core/ltx/page-index.ts'
import {
  blockBody,
  concat,
  errorCode,
  expectSame,
  filled,
  goldenFiles,
  hex,
  makeHeader,
  noise,
  type RawFrame,
  rawLtx,
  split,
} from './ltx-samples.ts'

const small = goldenFiles()
  .filter(({ name }) => name !== 'i-incomplete-snapshot')
  .map(({ encoding, name, bytes }) => ({ title: `${encoding} ${name}`, bytes }))

/** Rejections other than an `LtxError` are rethrown and fail the test. */
function decodes(bytes: Uint8Array): boolean {
  return errorCode(() => decodeLtx(bytes)) === undefined
}

describe('damage to whole files', () => {
  it.each(small)('$title: every truncation is rejected', ({ bytes }) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(errorCode(() => decodeLtx(bytes.subarray(0, length)))).toBe('Truncated')
    }
  })

  it.each(small)('$title: every single-byte change is rejected or without effect', ({ bytes }) => {
    const original = decodeLtx(bytes)
    let rejected = 0
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [0x01, 0x10, 0x80, 0xff]) {
        const damaged = bytes.slice()
        damaged[at]! ^= change
        if (decodes(damaged)) expectSameFile(decodeLtx(damaged), original)
        else rejected++
      }
    }
    // A changed match offset inside a run gives the same page; nothing else goes unnoticed.
    expect(rejected).toBeGreaterThan(bytes.length * 4 * 0.95)
  })

  it.each(small)('$title: bytes after the end are rejected', ({ bytes }) => {
    expect(errorCode(() => decodeLtx(concat([bytes, Uint8Array.of(0)])))).toBe('TrailingBytes')
    const decoder = new LtxDecoder()
    decoder.write(bytes)
    expect(errorCode(() => decoder.write(Uint8Array.of(0)))).toBe('TrailingBytes')
    expect(errorCode(() => decoder.end())).toBe('Closed')
  })

  it('two files in a row are rejected', () => {
    const { bytes } = small[0]!
    expect(errorCode(() => decodeLtx(concat([bytes, bytes])))).toBe('TrailingBytes')
  })
})

describe('a decoder that found damage', () => {
  it('stays closed', () => {
    const decoder = new LtxDecoder()
    expect(errorCode(() => decoder.write(new Uint8Array(100)))).toBe('BadMagic')
    expect(errorCode(() => decoder.write(small[0]!.bytes))).toBe('Closed')
    expect(errorCode(() => decoder.end())).toBe('Closed')
  })
})

describe('files with a correct checksum and wrong content', () => {
  const snapshot = makeHeader({ commit: 2 })
  const pages = [filled(1, 1), filled(2, 2)]
  const later = makeHeader({ commit: 9, minTxid: txid(2) })
  const block = blockBody(filled(1, 1).data)
  const withSize = (size: number) => {
    const body = block.slice()
    new DataView(body.buffer).setUint32(0, size)
    return [{ ...filled(1, 1), body }]
  }
  const index = (...entries: [number, number, number][]) => {
    const builder = new PageIndexBuilder()
    for (const entry of entries) builder.add(...entry)
    return builder.finish()
  }
  const lock = lockPage(65536)
  const sizes = [block.length + 6]
  const oneFrame = 100 + sizes[0]!

  it('would be accepted if they were right', () => {
    expect(decodes(rawLtx(snapshot, pages))).toBe(true)
    expect(decodes(rawLtx(later, pages))).toBe(true)
    const entries = index([1, 100, oneFrame - 100], [2, oneFrame, oneFrame - 100])
    expect(rawLtx(snapshot, pages, { index: entries })).toEqual(rawLtx(snapshot, pages))
  })

  it.each<[string, () => Uint8Array, LtxErrorCode]>([
    ['descending pages', () => rawLtx(later, [filled(2, 2), filled(1, 1)]), 'OutOfOrder'],
    ['a page twice', () => rawLtx(later, [filled(2, 2), filled(2, 2)]), 'OutOfOrder'],
    ['a page above the commit', () => rawLtx(later, [filled(10, 1)]), 'InvalidPage'],
    [
      'a page in an empty database',
      () => rawLtx(makeHeader({ commit: 0 }), [filled(1, 1)]),
      'InvalidPage',
    ],
    [
      'the lock page',
      () =>
        rawLtx(makeHeader({ pageSize: 65536, commit: lock + 1, minTxid: txid(2) }), [
          filled(lock, 1, 65536),
        ]),
      'InvalidPage',
    ],
    ['a snapshot that starts at page 2', () => rawLtx(snapshot, [filled(2, 2)]), 'MissingPage'],
    ['a snapshot that ends at page 1', () => rawLtx(snapshot, [filled(1, 1)]), 'MissingPage'],
    ['a snapshot without pages', () => rawLtx(snapshot, []), 'MissingPage'],
    ['page 0 with flags', () => rawLtx(later, [{ ...filled(0, 1) }]), 'InvalidPage'],
    ['page flag 2', () => rawLtx(later, [{ ...filled(1, 1), flags: 2 }]), 'InvalidPage'],
    ['page flags 1 and 2', () => rawLtx(later, [{ ...filled(1, 1), flags: 3 }]), 'InvalidPage'],
    ['a high page flag', () => rawLtx(later, [{ ...filled(1, 1), flags: 0x8001 }]), 'InvalidPage'],
    ['a payload of 0 bytes', () => rawLtx(later, withSize(0)), 'InvalidPage'],
    ['a payload above the bound', () => rawLtx(later, withSize(512 + 2 + 16 + 1)), 'InvalidPage'],
    ['a payload of 4 GiB', () => rawLtx(later, withSize(0xffffffff)), 'InvalidPage'],
    ['a payload cut by a byte', () => rawLtx(later, withSize(block.length - 5)), 'InvalidPage'],
    ['a short page', () => rawLtx(later, [{ pgno: 1, data: new Uint8Array(511) }]), 'InvalidPage'],
    ['a long page', () => rawLtx(later, [{ pgno: 1, data: new Uint8Array(513) }]), 'InvalidPage'],
    [
      'a block that is called a frame',
      () => rawLtx(later, [{ ...filled(1, 1), flags: 0 }]),
      'InvalidPage',
    ],
    ['an empty index', () => rawLtx(later, pages, { index: index() }), 'InvalidIndex'],
    [
      'an index with a page too many',
      () => rawLtx(later, [], { index: index([1, 100, 50]) }),
      'InvalidIndex',
    ],
    [
      'an index with a wrong offset',
      () => rawLtx(later, [pages[0]!], { index: index([1, 101, oneFrame - 100]) }),
      'InvalidIndex',
    ],
    [
      'an index with a wrong size',
      () => rawLtx(later, [pages[0]!], { index: index([1, 100, oneFrame - 101]) }),
      'InvalidIndex',
    ],
    [
      'an index with a wrong length',
      () => rawLtx(later, [], { index: hex('00 0000000000000002') }),
      'InvalidIndex',
    ],
    [
      'an index in a longer form',
      () => rawLtx(later, [], { index: hex('8000 0000000000000002') }),
      'InvalidIndex',
    ],
    [
      'a post-apply checksum',
      () => rawLtx(later, [], { postApplyChecksum: 1n << 63n }),
      'InvalidTrailer',
    ],
    ['no post-apply checksum', () => rawLtx({ ...snapshot, flags: 0 }, pages), 'InvalidTrailer'],
    [
      'a wrong post-apply checksum',
      () => rawLtx({ ...snapshot, flags: 0 }, pages, { postApplyChecksum: (1n << 63n) | 1n }),
      'ChecksumMismatch',
    ],
  ])('are rejected: %s', (_, build, code) => {
    const bytes = build()
    expect(errorCode(() => decodeLtx(bytes))).toBe(code)
    const decoder = new LtxDecoder()
    const bytewise = () => {
      for (const byte of split(bytes, 1)) decoder.write(byte)
      decoder.end()
    }
    expect(errorCode(bytewise)).toBe(code)
  })

  it.each<[string, Uint8Array]>([
    ['descending pages', rawLtx(later, [filled(2, 2), filled(1, 1)])],
    ['a page above the commit', rawLtx(later, [filled(10, 1)])],
    ['an incomplete snapshot', rawLtx(snapshot, [filled(2, 2)])],
    ['a foreign index', rawLtx(later, pages, { index: index([7, 2 ** 40, 3]) })],
    ['a post-apply checksum', rawLtx(later, pages, { postApplyChecksum: 5n })],
  ])('are readable when lenient: %s', (_, bytes) => {
    const bytewise = new LtxDecoder({ lenient: true })
    const pages = split(bytes, 1).flatMap((byte) => bytewise.write(byte))
    expect(bytewise.end()).toEqual(decodeLtx(bytes, { lenient: true }).trailer)
    expect(pages).toEqual(decodeLtx(bytes, { lenient: true }).pages)
    expect(decodes(bytes)).toBe(false)
    bytes[bytes.length - 1]! ^= 1
    expect(errorCode(() => decodeLtx(bytes, { lenient: true }))).toBe('ChecksumMismatch')
  })

  it('are accepted exactly when an independent reading of the rules accepts them', () => {
    const frame: fc.Arbitrary<RawFrame> = fc.record({
      pgno: fc.integer({ min: 1, max: 5 }),
      data: fc.nat(255).map((value) => new Uint8Array(512).fill(value)),
    })
    let accepted = 0
    let refused = 0
    fc.assert(
      fc.property(
        fc.nat(5),
        fc.constantFrom(1n, 2n),
        fc.oneof(fc.array(frame, { maxLength: 5 }), ascending(frame)),
        (commit, minTxid, frames) => {
          const numbers = frames.map((frame) => frame.pgno)
          const ordered = numbers.every((pgno, at) => at === 0 || pgno > numbers[at - 1]!)
          const inside = numbers.every((pgno) => pgno <= commit)
          const complete = minTxid !== 1n || numbers.length === commit
          const valid = ordered && inside && complete
          expect(decodes(rawLtx(makeHeader({ commit, minTxid: minTxid as TXID }), frames))).toBe(
            valid,
          )
          if (valid) accepted++
          else refused++
        },
      ),
      { numRuns: 2000 },
    )
    expect(accepted).toBeGreaterThan(100)
    expect(refused).toBeGreaterThan(100)
  })
})

function ascending(frame: fc.Arbitrary<RawFrame>): fc.Arbitrary<RawFrame[]> {
  return fc
    .uniqueArray(frame, { selector: ({ pgno }) => pgno })
    .map((frames) => frames.sort((a, b) => a.pgno - b.pgno))
}

describe('hostile bytes', () => {
  it('of any kind end in an LtxError', () => {
    const valid = encodeLtx(makeHeader({ commit: 3, minTxid: txid(2) }), [
      filled(1, 1),
      { pgno: 3, data: noise(512) },
    ])
    const tail = fc.uint8Array({ maxLength: 300 })
    fc.assert(
      fc.property(
        tail,
        fc.constantFrom(0, 4, 100, 110),
        fc.integer({ min: 1, max: 50 }),
        (tail, keep, size) => {
          const decoder = new LtxDecoder()
          expect(() => {
            for (const chunk of split(concat([valid.subarray(0, keep), tail]), size))
              decoder.write(chunk)
            decoder.end()
          }).toThrow(LtxError)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('with corrected checksums decode only to what can be encoded again', () => {
    const sources = [
      encodeLtx(makeHeader({ commit: 4, minTxid: txid(2) }), [
        filled(1, 1),
        filled(2, 2),
        filled(4, 4),
      ]),
      encodeLtx(makeHeader({ commit: 3 }), [filled(1, 1), filled(2, 2), filled(3, 3)], {
        encoding: 'frame',
      }),
      ...small.map(({ bytes }) => bytes),
    ]
    let mended = 0
    let accepted = 0
    const change = fc.record({
      source: fc.nat(sources.length - 1),
      edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
    })
    fc.assert(
      fc.property(change, ({ source, edits }) => {
        const bytes = sources[source]!.slice()
        for (const [at, value] of edits) bytes[at % bytes.length] = value
        const checksum = rightChecksum(bytes)
        if (checksum !== undefined) {
          new DataView(bytes.buffer).setBigUint64(bytes.length - 8, checksum)
          mended++
        }
        if (!decodes(bytes)) return
        accepted++
        const { header, pages, trailer } = decodeLtx(bytes)
        if (header.commit === 0 && header.flags !== 0) return
        const again = encodeLtx(header, pages, { postApplyChecksum: trailer.postApplyChecksum })
        expectSameFile(decodeLtx(again), { header, pages })
      }),
      { numRuns: 3000 },
    )
    expect(mended).toBeGreaterThan(200)
    expect(accepted).toBeGreaterThan(200)
  })

  it('cannot make the decoder allocate more than a page or so', () => {
    const header = encodeLtxHeader(
      makeHeader({ pageSize: 65536, commit: 0xfffffffe, minTxid: txid(2) }),
    )
    const before = process.memoryUsage().arrayBuffers
    const decoders = [
      '00000001 0001 ffffffff',
      '00000001 0001 000100ff',
      '00000001 0000 04224d18 6440a7 ffffff7f',
      '00000001 0000 04224d18 6440a7 00000180',
      'fffffffe 0001 00000001',
    ].map((frame) => {
      const decoder = new LtxDecoder()
      const failed = errorCode(() => decoder.write(concat([header, hex(frame)])))
      expect([undefined, 'InvalidPage']).toContain(failed)
      return decoder
    })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024)
    for (const decoder of decoders) expect(errorCode(() => decoder.end())).toBeDefined()
  })

  it('cannot make a snapshot of 2^32 - 2 pages cost time', () => {
    const header = makeHeader({ commit: 0xfffffffe })
    expect(errorCode(() => decodeLtx(rawLtx(header, [filled(1, 1)])))).toBe('MissingPage')
  })
})

function expectSameFile(
  actual: { header: LtxHeader; pages: readonly LtxPage[] },
  expected: { header: LtxHeader; pages: readonly LtxPage[] },
): void {
  expect(actual.header).toEqual(expected.header)
  expect(actual.pages.map((page) => page.pgno)).toEqual(expected.pages.map((page) => page.pgno))
  expectSame(
    concat(actual.pages.map((page) => page.data)),
    concat(expected.pages.map((page) => page.data)),
  )
}

/** What the file checksum must be for these bytes, if they are well-formed enough to have one. */
function rightChecksum(bytes: Uint8Array): bigint | undefined {
  try {
    decodeLtx(bytes, { lenient: true })
    return undefined
  } catch (error) {
    const text = /content gives ([0-9a-f]{16})/.exec((error as Error).message)?.[1]
    return text === undefined ? undefined : BigInt(`0x${text}`)
  }
}
