import { describe, expect, it } from 'vitest'
import {
  CHECKSUM_TAIL_SIZE,
  compactLtx,
  type DatabaseChecksums,
  decodeChecksumTail,
  decodePageIndex,
  EMPTY_DATABASE_CHECKSUM,
  encodeLtx,
  LtxDecoder,
  type LtxPage,
  pageHash,
  toggleChecksum,
  txid,
} from '../../../src/core/ltx/index.ts'
import { errorCode, filled, makeHeader, rawLtx } from './ltx-samples.ts'

const A = (1n << 63n) | 0x0123_4567_89ab_cdefn
const B = (1n << 63n) | 5n

describe('the checksums of the whole database in the page index', () => {
  for (const encoding of ['block', 'frame'] as const) {
    for (const checksums of [
      { before: A, after: B },
      { before: undefined, after: A },
    ]) {
      it(`come back from ${encoding}, whole and from the tail, before ${checksums.before}`, () => {
        const bytes = file(3, [filled(1, 1), filled(3, 3)], checksums, encoding)
        for (const step of [1, 7, bytes.length]) {
          const decoder = new LtxDecoder()
          for (let at = 0; at < bytes.length; at += step) {
            decoder.write(bytes.subarray(at, at + step))
          }
          decoder.end()
          expect(decoder.databaseChecksums).toEqual(checksums)
        }
        expect(decodeChecksumTail(bytes.subarray(-CHECKSUM_TAIL_SIZE))).toEqual(checksums)
        const end = bytes.length - 24
        const length = Number(new DataView(bytes.buffer).getBigUint64(end))
        const entries = decodePageIndex(bytes.subarray(end - length, end + 8))
        expect(entries.map(({ pgno }) => pgno)).toEqual([1, 3])
        const lenient = new LtxDecoder({ lenient: true })
        expect(lenient.write(bytes)).toHaveLength(2)
        lenient.end()
      })
    }
  }

  it('are passed over in a note of before the release, where they prove nothing', () => {
    const pages = [filled(1, 1), filled(3, 3)]
    const bytes = file(3, pages, { before: A, after: B })
    const note = bytes.length - CHECKSUM_TAIL_SIZE
    expect([...bytes.subarray(note, note + 5)]).toEqual([0xff, 0xff, 0xff, 0xff, 0x1f])
    bytes[note + 4] = 0x0f
    expect(decodeChecksumTail(bytes.subarray(note))).toBeUndefined()
    const end = bytes.length - 24
    const length = Number(new DataView(bytes.buffer).getBigUint64(end))
    const index = bytes.subarray(end - length, end + 8)
    expect(decodePageIndex(index).map(({ pgno }) => pgno)).toEqual([1, 3])
    const header = makeHeader({ minTxid: txid(3), maxTxid: txid(3), commit: 3 })
    const decoder = new LtxDecoder()
    expect(decoder.write(rawLtx(header, pages, { index }))).toEqual(pages)
    decoder.end()
    expect(decoder.databaseChecksums).toBeUndefined()
  })

  it('are absent where none were written', () => {
    const bytes = file(3, [filled(1, 1)])
    const decoder = new LtxDecoder()
    decoder.write(bytes)
    decoder.end()
    expect(decoder.databaseChecksums).toBeUndefined()
    expect(decodeChecksumTail(bytes.subarray(-CHECKSUM_TAIL_SIZE))).toBeUndefined()
  })

  it('are covered: every flipped bit and every cut is refused', () => {
    const bytes = file(3, [filled(1, 1)], { before: A, after: B })
    for (let at = bytes.length - CHECKSUM_TAIL_SIZE; at < bytes.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = bytes.slice()
        damaged[at]! ^= 1 << bit
        expect(
          errorCode(() => decode(damaged)),
          `byte ${at} bit ${bit}`,
        ).toBeDefined()
      }
      expect(errorCode(() => decode(bytes.subarray(0, at)))).toBe('Truncated')
    }
  })

  it('of a merged file are the first before and the last after', async () => {
    const first = file(2, [filled(1, 1)], { before: A, after: B })
    const last = file(3, [filled(1, 2)], { before: B, after: A })
    expect(await merged(first, last)).toEqual({ before: A, after: A })
    expect(await merged(first, file(3, [filled(1, 2)]))).toBeUndefined()
    expect(await merged(file(2, [filled(1, 1)]), last)).toEqual({ before: undefined, after: A })
  })

  it('hold a merged snapshot against its pages', async () => {
    const before = sum([filled(1, 1), filled(2, 2), filled(3, 3)])
    const base = file(1, [filled(1, 1), filled(2, 2), filled(3, 3)], {
      before: undefined,
      after: before,
    })
    const after = sum([filled(1, 1), filled(2, 9), filled(3, 3)])
    const change = file(2, [filled(2, 9)], { before, after })
    const other = file(2, [filled(3, 3)], { before, after })
    expect(await merged(base, change)).toEqual({ before: undefined, after })
    await expect(merged(base, other)).rejects.toMatchObject({ code: 'MixedHistories' })
  })

  it('of neighbours must agree, unless the later one is a whole copy', async () => {
    const first = file(2, [filled(1, 1)], { before: A, after: B })
    const foreign = file(3, [filled(1, 2)], { before: A, after: A })
    await expect(merged(first, foreign)).rejects.toMatchObject({ code: 'MixedHistories' })
    const pages = [filled(1, 2), filled(2, 2), filled(3, 2)]
    const copy = file(3, pages, { before: A, after: A })
    expect(await merged(first, copy)).toEqual({ before: A, after: A })
  })
})

function file(
  n: number,
  pages: LtxPage[],
  checksums?: DatabaseChecksums,
  encoding: 'block' | 'frame' = 'block',
): Uint8Array {
  const header = makeHeader({ minTxid: txid(n), maxTxid: txid(n), commit: 3 })
  return encodeLtx(header, pages, { checksums, encoding })
}

function decode(bytes: Uint8Array): void {
  const decoder = new LtxDecoder()
  decoder.write(bytes)
  decoder.end()
}

function sum(pages: LtxPage[]): bigint {
  return pages.reduce(
    (value, { pgno, data }) => toggleChecksum(value, pageHash(pgno, data)),
    EMPTY_DATABASE_CHECKSUM,
  )
}

async function merged(...files: Uint8Array[]): Promise<DatabaseChecksums | undefined> {
  const inputs = files.map((bytes) =>
    (async function* () {
      yield bytes
    })(),
  )
  const decoder = new LtxDecoder()
  for await (const chunk of compactLtx(inputs)) decoder.write(chunk)
  decoder.end()
  return decoder.databaseChecksums
}
