import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readUvarint, writeUvarint } from '../../../src/core/ltx/codec/uvarint.ts'
import { decodePageIndex, PageIndexBuilder } from '../../../src/core/ltx/page-index.ts'
import { errorCode, hex } from './ltx-samples.ts'

describe('uvarint', () => {
  it.each<[number, string]>([
    [0, '00'],
    [1, '01'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 32 - 1, 'ffffffff0f'],
    [2 ** 53 - 1, 'ffffffffffffff0f'],
  ])('writes and reads %i', (value, bytes) => {
    const target = new Uint8Array(9)
    const end = writeUvarint(target, 1, value)
    expect(target.subarray(1, end)).toEqual(hex(bytes))
    expect(readUvarint(target.subarray(0, end), 1)).toEqual({ value, next: end })
  })

  it('keeps every safe integer', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const target = new Uint8Array(8)
        const next = writeUvarint(target, 0, value)
        expect(readUvarint(target, 0)).toEqual({ value, next })
      }),
    )
  })

  it.each([
    ['cut off', ''],
    ['cut off', '80'],
    ['longer than needed', '8000'],
    ['longer than needed', 'ff8000'],
    ['2^53', '8080808080808010'],
    ['64 bits', 'ffffffffffffffffff01'],
    ['endless', '808080808080808080808080'],
  ])('rejects one that is %s: %s', (_, bytes) => {
    expect(errorCode(() => readUvarint(hex(bytes), 0))).toBe('InvalidIndex')
  })
})

describe('page index', () => {
  it('of a file without pages has 9 bytes', () => {
    expect(new PageIndexBuilder().finish()).toEqual(hex('00 0000000000000001'))
    expect(decodePageIndex(hex('00 0000000000000001'))).toEqual([])
  })

  it('keeps its entries', () => {
    const entries = fc.uniqueArray(
      fc.record({
        pgno: fc.integer({ min: 1, max: 2 ** 32 - 2 }),
        offset: fc.maxSafeNat(),
        size: fc.nat(),
      }),
      { selector: (entry) => entry.pgno, maxLength: 60 },
    )
    fc.assert(
      fc.property(entries, (entries) => {
        entries.sort((a, b) => a.pgno - b.pgno)
        const builder = new PageIndexBuilder()
        for (const { pgno, offset, size } of entries) builder.add(pgno, offset, size)
        expect(decodePageIndex(builder.finish())).toEqual(entries)
      }),
    )
  })

  it.each([
    ['empty', ''],
    ['without terminator', '016422'],
    ['with pages out of order', '02642201642200 0000000000000007'],
    ['with a page twice', '01642201642200 0000000000000007'],
    ['with a wrong length', '01642200 0000000000000005'],
    ['with a cut length', '01642200 00000000000004'],
    ['with trailing bytes', '01642200 0000000000000004 00'],
  ])('rejects one %s', (_, bytes) => {
    expect(errorCode(() => decodePageIndex(hex(bytes)))).toBe('InvalidIndex')
  })
})
