import fc from 'fast-check'
import { compressFrameSync, compressSync, decompressFrameSync, uncompressSync } from 'lz4-napi'
import { describe, expect, it } from 'vitest'
import {
  compressBlock,
  compressBound,
  decompressBlock,
} from '../../../src/core/ltx/codec/lz4-block.ts'
import {
  decodeFrame,
  encodeFrame,
  frameBound,
  requiredFrameBytes,
} from '../../../src/core/ltx/codec/lz4-frame.ts'
import { xxh32 } from '../../../src/core/ltx/codec/xxh32.ts'
import { concat, errorCode, expectSame, hex, noise, PAGE_SIZES, pageData } from './ltx-samples.ts'

const data = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(...PAGE_SIZES).chain(pageData),
  fc.integer({ min: 1, max: 5000 }).chain(pageData),
)

function compress(source: Uint8Array): Uint8Array {
  const target = new Uint8Array(compressBound(source.length))
  return target.slice(0, compressBlock(source, target, 0))
}

function decompress(block: Uint8Array, size: number): Uint8Array {
  const target = new Uint8Array(size)
  return target.subarray(0, decompressBlock(block, target))
}

function frame(page: Uint8Array): Uint8Array {
  const target = new Uint8Array(frameBound(page.length))
  return target.slice(0, encodeFrame(page, target, 0))
}

function unframe(bytes: Uint8Array, size: number): Uint8Array {
  const required = requiredFrameBytes(bytes, size)
  if (required !== bytes.length) throw new Error(`The frame needs ${required} bytes.`)
  const page = new Uint8Array(size)
  decodeFrame(bytes, page)
  return page
}

describe('LZ4 block', () => {
  it('gives back what it got, within the bound', () => {
    fc.assert(
      fc.property(data, (source) => {
        const block = compress(source)
        expect(block.length).toBeLessThanOrEqual(compressBound(source.length))
        expectSame(decompress(block, source.length), source)
      }),
      { numRuns: 200 },
    )
  })

  it('agrees with an independent implementation in both directions', () => {
    fc.assert(
      fc.property(data, (source) => {
        const prefix = new Uint8Array(4)
        new DataView(prefix.buffer).setUint32(0, source.length, true)
        const theirs = uncompressSync(concat([prefix, compress(source)]))
        expectSame(theirs, source)
        const block = new Uint8Array(compressSync(Buffer.from(source))).subarray(4)
        expectSame(decompress(block, source.length), source)
      }),
      { numRuns: 200 },
    )
  })

  it('honours the end conditions of the format', () => {
    // A reader may rely on the last 5 bytes being literals and the last match starting 12 before the end.
    for (let size = 0; size < 300; size++) {
      const block = compress(new Uint8Array(size))
      let at = 0
      let out = 0
      while (at < block.length) {
        const token = block[at++]!
        let literals = token >>> 4
        if (literals === 15)
          do literals += block[at]!
          while (block[at++] === 255)
        at += literals
        out += literals
        if (at === block.length) {
          expect(literals).toBeGreaterThanOrEqual(Math.min(size, 5))
          break
        }
        expect(out).toBeLessThanOrEqual(size - 12)
        at += 2
        let length = (token & 15) + 4
        if (length === 19)
          do length += block[at]!
          while (block[at++] === 255)
        out += length
      }
      expect(out).toBe(size)
    }
  })

  it('compresses what repeats', () => {
    expect(compress(new Uint8Array(4096)).length).toBeLessThan(40)
    expect(compress(new Uint8Array(65536)).length).toBeLessThan(300)
  })

  it('refuses a target without room and an input that is too long', () => {
    const target = new Uint8Array(compressBound(100))
    expect(errorCode(() => compressBlock(noise(100), target, 1))).toBe('InvalidArgument')
    expect(errorCode(() => compressBlock(new Uint8Array(65537), new Uint8Array(70000), 0))).toBe(
      'InvalidArgument',
    )
  })

  it.each([
    ['nothing', ''],
    ['no literals after a match', '1f 31 0100 00'],
    ['a literal length that is cut off', 'f0 ff'],
    ['literals that are cut off', '50 31313131'],
    ['an offset that is cut off', '10 31 01'],
    ['offset 0', '10 31 0000 50 3131313131'],
    ['an offset before the start', '10 31 0200 50 3131313131'],
    ['a match length that is cut off', '1f 31 0100 ff'],
    ['more literals than fit', 'f0 05 3131313131313131313131313131313131313131'],
    ['a match that does not fit', '1f 31 0100 ff 00 50 3131313131'],
  ])('rejects %s', (_, block) => {
    const target = new Uint8Array(48)
    const guarded = target.subarray(16, 32)
    expect(errorCode(() => decompressBlock(hex(block), guarded))).toBe('InvalidPage')
    expect(target.subarray(0, 16)).toEqual(new Uint8Array(16))
    expect(target.subarray(32)).toEqual(new Uint8Array(16))
  })

  it('never leaves its target, and fails only in one way, on arbitrary bytes', () => {
    let rejected = 0
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (block) => {
        const target = new Uint8Array(128)
        if (errorCode(() => decompressBlock(block, target.subarray(32, 96))) === 'InvalidPage')
          rejected++
        expect(target.subarray(0, 32)).toEqual(new Uint8Array(32))
        expect(target.subarray(96)).toEqual(new Uint8Array(32))
      }),
      { numRuns: 3000 },
    )
    expect(rejected).toBeGreaterThan(1000)
  })

  it('never leaves its target on damaged blocks', () => {
    let rejected = 0
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 700 }).chain(pageData),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (source, edits) => {
          const block = compress(source)
          for (const [at, value] of edits) block[at % block.length] = value
          const target = new Uint8Array(source.length + 64)
          const inside = target.subarray(32, 32 + source.length)
          if (errorCode(() => decompressBlock(block, inside)) === 'InvalidPage') rejected++
          expectSame(target.subarray(0, 32), new Uint8Array(32))
          expectSame(target.subarray(32 + source.length), new Uint8Array(32))
        },
      ),
      { numRuns: 3000 },
    )
    expect(rejected).toBeGreaterThan(500)
  })
})

describe('LZ4 frame', () => {
  const page = fc.constantFrom(...PAGE_SIZES).chain(pageData)

  it('gives back what it got', () => {
    fc.assert(fc.property(page, (page) => expectSame(unframe(frame(page), page.length), page)))
  })

  it('agrees with an independent implementation in both directions', () => {
    fc.assert(
      fc.property(page, (page) => {
        expectSame(decompressFrameSync(Buffer.from(frame(page))), page)
        const theirs = compressFrameSync(Buffer.from(page), { contentChecksum: true })
        expect(theirs.readUInt32LE(theirs.length - 4)).toBe(xxh32(page))
        expectSame(unframe(new Uint8Array(theirs), page.length), page)
        const plain = compressFrameSync(Buffer.from(page))
        expectSame(unframe(new Uint8Array(plain), page.length), page)
      }),
    )
  })

  it('stores an incompressible page with the bytes of the reference', () => {
    const bytes = frame(noise(512))
    expect(bytes.subarray(0, 11)).toEqual(hex('04224d18 64 40 a7 00020080'))
    expect(bytes.length).toBe(512 + 19)
  })

  it('asks for as many bytes as it needs, never for more than there are', () => {
    const bytes = frame(new Uint8Array(512))
    for (let length = 0; length < bytes.length; length++) {
      const required = requiredFrameBytes(bytes.subarray(0, length), 512)
      expect(required).toBeGreaterThan(length)
      expect(required).toBeLessThanOrEqual(bytes.length)
    }
    expect(requiredFrameBytes(concat([bytes, bytes]), 512)).toBe(bytes.length)
  })

  const content = new TextEncoder().encode('abcdefghabcdefgh')
  // A stored block, and one with a match of 8 bytes at distance 8 and no literals.
  const REFERRING = '08000080 6162636465666768 04000000 04 0800 00'
  const cases: [string, string, boolean][] = [
    ['content size', '6c40 1000000000000000 HC 10000080 CONTENT 00000000 CHECK', true],
    ['no content checksum', '6040 HC 10000080 CONTENT 00000000', true],
    [
      'two blocks',
      '6440 HC 08000080 6162636465666768 08000080 6162636465666768 00000000 CHECK',
      true,
    ],
    ['linked blocks', `4440 HC ${REFERRING} 00000000 CHECK`, true],
    ['independent blocks that refer back', `6440 HC ${REFERRING} 00000000 CHECK`, false],
    ['4 MiB blocks', '6470 HC 10000080 CONTENT 00000000 CHECK', true],
    ['a wrong content size', '6c40 1100000000000000 HC 10000080 CONTENT 00000000 CHECK', false],
    ['a wrong header checksum', '6440 00 10000080 CONTENT 00000000 CHECK', false],
    ['block checksums', '7440 HC 10000080 CONTENT 00000000 00000000 CHECK', false],
    ['a dictionary', '6540 00000000 HC 10000080 CONTENT 00000000 CHECK', false],
    ['version 2', '8440 HC 10000080 CONTENT 00000000 CHECK', false],
    ['a reserved descriptor bit', '6441 HC 10000080 CONTENT 00000000 CHECK', false],
    ['block size code 3', '6430 HC 10000080 CONTENT 00000000 CHECK', false],
    ['an empty stored block', '6440 HC 00000080 10000080 CONTENT 00000000 CHECK', false],
    ['too little content', '6440 HC 08000080 6162636465666768 00000000 CHECK', false],
    ['too much content', '6440 HC 10000080 CONTENT 01000080 61 00000000 CHECK', false],
    ['a wrong content checksum', '6440 HC 10000080 CONTENT 00000000 00000000', false],
    ['a huge block', '6440 HC ffffff7f', false],
  ]

  it.each(cases)('with %s: %s is accepted: %s', (_, spec, ok) => {
    const bytes = build(spec)
    const read = () => unframe(bytes, 16)
    if (ok) expect(read()).toEqual(content)
    else expect(['InvalidPage', 'ChecksumMismatch']).toContain(errorCode(read))
  })

  it('that never fills its page is rejected before its end', () => {
    // A block of one token without literals or match adds nothing.
    const start = build('6440 HC')
    const empty = hex('01000000 00')
    const endless = concat([start, ...Array.from({ length: 100 }, () => empty)])
    expect(errorCode(() => requiredFrameBytes(endless, 16))).toBe('InvalidPage')
  })

  function build(spec: string): Uint8Array {
    const sum = new Uint8Array(4)
    new DataView(sum.buffer).setUint32(0, xxh32(content), true)
    const [descriptor = '', rest] = spec
      .replaceAll('CONTENT', Buffer.from(content).toString('hex'))
      .replaceAll('CHECK', Buffer.from(sum).toString('hex'))
      .split('HC')
    if (rest === undefined) return hex(`04224d18${descriptor}`)
    const check = (xxh32(hex(descriptor)) >>> 8) & 0xff
    return concat([hex('04224d18'), hex(descriptor), Uint8Array.of(check), hex(rest)])
  }
})
