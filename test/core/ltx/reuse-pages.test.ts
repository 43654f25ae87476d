import { expect, it } from 'vitest'
import {
  encodeLtx,
  FLAG_NO_CHECKSUM,
  LtxDecoder,
  type LtxPage,
  txid,
} from '../../../src/core/ltx/index.ts'
import { PageSlab } from '../../../src/core/ltx/page-slab.ts'
import { makeHeader, noise } from './ltx-samples.ts'

const PAGE_SIZE = 512
const PAGES = 4000
const pages = Array.from({ length: PAGES }, (_, i) => ({ pgno: i + 1, data: noise(PAGE_SIZE, i) }))

it('yields the same pages in reused memory', () => {
  const file = encoded()
  const decoder = new LtxDecoder({ reusePages: true })
  const memory = new Set<ArrayBufferLike>()
  let seen = 0
  for (let at = 0; at < file.length; at += 10_000) {
    for (const { pgno, data } of decoder.write(file.subarray(at, at + 10_000))) {
      expect(Buffer.compare(data, pages[pgno - 1]!.data)).toBe(0)
      memory.add(data.buffer)
      seen++
    }
  }
  decoder.end()
  expect(seen).toBe(PAGES)
  expect(memory.size).toBeLessThan(10)
})

it('keeps pages unchanged unless asked to reuse them', () => {
  const file = encoded()
  const decoder = new LtxDecoder()
  const kept: LtxPage[] = []
  for (let at = 0; at < file.length; at += 10_000) {
    kept.push(...decoder.write(file.subarray(at, at + 10_000)))
  }
  decoder.end()
  for (const { pgno, data } of kept) expect(Buffer.compare(data, pages[pgno - 1]!.data)).toBe(0)
})

it('hands out no page twice between two calls of recycle, however many are taken', () => {
  const slab = new PageSlab(PAGE_SIZE)
  for (let round = 0; round < 3; round++) {
    slab.recycle()
    const taken = Array.from({ length: 5000 }, () => slab.take())
    expect(new Set(taken).size).toBe(5000)
    for (const [i, page] of taken.entries()) page.fill(i % 251)
    expect(taken.every((page, i) => page[0] === i % 251 && page[PAGE_SIZE - 1] === i % 251)).toBe(
      true,
    )
  }
})

function encoded(): Uint8Array {
  const header = makeHeader({ flags: FLAG_NO_CHECKSUM, pageSize: PAGE_SIZE, commit: PAGES })
  return encodeLtx({ ...header, minTxid: txid(1), preApplyChecksum: 0n }, pages)
}
