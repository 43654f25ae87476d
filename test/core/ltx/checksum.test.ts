import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  CHECKSUM_FLAG,
  Crc64,
  EMPTY_DATABASE_CHECKSUM,
  pageChecksum,
  pageHash,
  toggleChecksum,
} from '../../../src/core/ltx/checksum.ts'
import { xxh32 } from '../../../src/core/ltx/codec/xxh32.ts'
import { filled, noise } from './ltx-samples.ts'

const text = (value: string) => new TextEncoder().encode(value)

function slowCrc64(bytes: Uint8Array): bigint {
  let register = 0xffffffffffffffffn
  for (const byte of bytes) {
    register ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) {
      register = register & 1n ? (register >> 1n) ^ 0xd800000000000000n : register >> 1n
    }
  }
  return register ^ 0xffffffffffffffffn
}

describe('Crc64', () => {
  it.each([
    ['nothing', new Uint8Array(0), 0n],
    ['the check string', text('123456789'), 0xb90956c775a41001n],
    ['one zero', new Uint8Array(1), 0x6f90000000000000n],
    ['00 to ff', Uint8Array.from({ length: 256 }, (_, i) => i), 0x89f7eaa7b75c07ddn],
  ])('gives the published value for %s', (_, bytes, expected) => {
    expect(new Crc64().update(bytes).digest()).toBe(expected)
    expect(slowCrc64(bytes)).toBe(expected)
  })

  it('equals a bit-by-bit model, for any split and alignment', () => {
    fc.assert(
      fc.property(
        fc.nat(300),
        fc.nat(7),
        fc.integer(),
        fc.array(fc.nat(300)),
        (n, shift, seed, cuts) => {
          const bytes = noise(n + shift, seed).subarray(shift)
          const expected = slowCrc64(bytes)
          expect(new Crc64().update(bytes).digest()).toBe(expected)
          const crc = new Crc64()
          let at = 0
          for (const cut of cuts.sort((a, b) => a - b)) {
            crc.update(bytes.subarray(at, cut))
            at = Math.max(at, Math.min(cut, n))
          }
          expect(crc.update(bytes.subarray(at)).digest()).toBe(expected)
        },
      ),
    )
  })

  it('is the same with a part of which only the length and the CRC are given', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5000), { minLength: 1, maxLength: 5 }), (lengths) => {
        const parts = lengths.map((length, i) => noise(length, i + 1))
        const whole = new Crc64()
        const joined = new Crc64()
        for (const part of parts) {
          whole.update(part)
          joined.append(new Crc64().update(part).digest(), part.length)
        }
        expect(joined.digest()).toBe(whole.digest())
        expect(joined.update(noise(100)).digest()).toBe(whole.update(noise(100)).digest())
      }),
    )
  })

  it('continues after a digest', () => {
    const crc = new Crc64().update(text('1234'))
    crc.digest()
    expect(crc.update(text('56789')).digest()).toBe(0xb90956c775a41001n)
  })
})

describe('database checksum', () => {
  it.each([
    [1, filled(1, 0, 512).data, 0xefb1f44fecd99000n],
    [1, filled(1, 0, 4096).data, 0xd9328f592d9e733dn],
    [2, filled(2, 0, 4096).data, 0xf7901e47304ca33fn],
    [1, filled(1, 0x81, 1024).data, 0xeb953fc47685d740n],
    [1, filled(1, 0x31, 512).data, 0xeb1a999231044dddn],
    [1, filled(1, 0x39, 512).data, 0xa1b06ee546733aaan],
  ])('gives the reference value for page %i (case %#)', (pgno, data, expected) => {
    expect(pageChecksum(pgno, data)).toBe(expected)
  })

  it('gives the reference value for three pages of 01, 02 and 03', () => {
    const database = [1, 2, 3].reduce(
      (sum, n) => toggleChecksum(sum, pageChecksum(n, filled(n, n).data)),
      EMPTY_DATABASE_CHECKSUM,
    )
    expect(database).toBe(0xefffffffecd99000n)
  })

  it('rolls through writes, growth and shrinking to the result of a full computation', () => {
    const write = fc.record({
      commit: fc.integer({ min: 0, max: 6 }),
      changed: fc.nat(63),
      seed: fc.nat(9),
    })
    fc.assert(
      fc.property(fc.array(write), (writes) => {
        const pages = new Map<number, bigint>()
        let rolling = EMPTY_DATABASE_CHECKSUM
        for (const { commit, changed, seed } of writes) {
          for (let pgno = 1; pgno <= 6; pgno++) {
            const old = pages.get(pgno)
            const gone = pgno > commit
            if (gone ? old === undefined : old !== undefined && !(changed & (1 << pgno))) continue
            if (old !== undefined) rolling = toggleChecksum(rolling, old)
            pages.delete(pgno)
            if (gone) continue
            const sum = pageChecksum(pgno, noise(512, seed))
            pages.set(pgno, sum)
            rolling = toggleChecksum(rolling, sum)
          }
        }
        let full = 0n
        for (const sum of pages.values()) full ^= sum
        expect(rolling).toBe(full | CHECKSUM_FLAG)
      }),
    )
  })
})

describe('checksum of the whole database in a note', () => {
  // Values of Python's xxhash 3.
  it.each([
    [1, filled(1, 0, 512).data, 0xe94b12c6ab2d7501n],
    [2, filled(2, 7, 4096).data, 0x3f390fd0356158abn],
    [2 ** 32 - 1, Uint8Array.from({ length: 65536 }, (_, i) => i), 0x6907175d47ce0856n],
  ])('is made of XXH64, of page %i (case %#)', (pgno, data, expected) => {
    expect(pageHash(pgno, data)).toBe(CHECKSUM_FLAG | expected)
  })

  it('sees five changed bits in one page that a CRC-64 does not', () => {
    const page = noise(4096, 1)
    const changed = page.slice()
    changed[2000]! ^= 0x10
    changed[2008]! ^= 0x1b
    expect(pageChecksum(2, changed)).toBe(pageChecksum(2, page))
    expect(pageHash(2, changed)).not.toBe(pageHash(2, page))
  })

  it('sees the same change in two pages, which cancels out in a XOR of plain CRCs', () => {
    const pages = [noise(4096, 1), noise(4096, 2)]
    const changed = pages.map((page) => page.map((byte, at) => (at % 100 === 7 ? byte ^ 5 : byte)))
    const sum = (of: (pgno: number, data: Uint8Array) => bigint, state: Uint8Array[]) =>
      state.reduce((value, data, i) => toggleChecksum(value, of(i + 1, data)), CHECKSUM_FLAG)
    expect(sum(pageChecksum, changed)).toBe(sum(pageChecksum, pages))
    expect(sum(pageHash, changed)).not.toBe(sum(pageHash, pages))
  })
})

describe('xxh32', () => {
  it.each([
    ['', 0x02cc5d05],
    ['abc', 0x32d153ff],
    ['Nobody inspects the spammish repetition', 0xe2293b2f],
  ])('gives the published value for %j', (value, expected) => {
    expect(xxh32(text(value))).toBe(expected)
  })
})
