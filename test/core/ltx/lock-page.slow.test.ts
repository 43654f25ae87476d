import { describe, expect, it } from 'vitest'
import {
  encodeLtx,
  FLAG_NO_CHECKSUM,
  LtxDecoder,
  LtxEncoder,
  lockPage,
  txid,
} from '../../../src/core/ltx/index.ts'
import { PageOrder } from '../../../src/core/ltx/page-order.ts'
import { errorCode, filled, makeHeader } from './ltx-samples.ts'

describe('lock page', () => {
  it.each([
    [512, 2097153],
    [1024, 1048577],
    [4096, 262145],
    [65536, 16385],
  ])('of page size %i is %i', (pageSize, pgno) => {
    expect(lockPage(pageSize)).toBe(pgno)
  })

  it('is refused, while its neighbours are not', () => {
    const header = makeHeader({ pageSize: 65536, commit: 16400, minTxid: txid(2) })
    const encode = (pgno: number) => () => encodeLtx(header, [filled(pgno, 1, 65536)])
    expect(errorCode(encode(16384))).toBeUndefined()
    expect(errorCode(encode(16385))).toBe('InvalidPage')
    expect(errorCode(encode(16386))).toBeUndefined()
  })

  it('is the only page that a snapshot leaves out', () => {
    for (const commit of [16384, 16385, 16386, 16390]) {
      const order = new PageOrder(makeHeader({ pageSize: 65536, commit }))
      for (let pgno = 1; pgno <= Math.min(commit, 16384); pgno++) order.accept(pgno)
      for (let pgno = 16386; pgno <= commit; pgno++) {
        expect(errorCode(() => order.complete())).toBe('MissingPage')
        order.accept(pgno)
      }
      expect(errorCode(() => order.complete())).toBeUndefined()
    }
  })

  it('is left out of a database above 1 GiB whose checksum the reference published', () => {
    const pageSize = 4096
    const commit = 262145 + 10
    const data = new Uint8Array(pageSize).fill(0x78)
    const encoder = new LtxEncoder(makeHeader({ flags: 0, pageSize, commit }))
    const decoder = new LtxDecoder()
    let count = 0
    const writeNext = () => {
      for (const chunk of encoder.drain()) count += decoder.write(chunk).length
    }
    for (let pgno = 1; pgno <= commit; pgno++) {
      if (pgno === 262145) continue
      encoder.encodePage(pgno, data)
      writeNext()
    }
    encoder.finish(0xc19b668c376662c7n)
    writeNext()
    expect(decoder.end().postApplyChecksum).toBe(0xc19b668c376662c7n)
    expect(count).toBe(commit - 1)
    expect(decoder.header?.flags).not.toBe(FLAG_NO_CHECKSUM)
  }, 180_000)
})
