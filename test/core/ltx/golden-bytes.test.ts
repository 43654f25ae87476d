import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type * as codec from '../../../src/core/ltx/codec/kernel.ts'
import type * as ltx from '../../../src/core/ltx/index.ts'
import { decodePageIndex } from '../../../src/core/ltx/page-index.ts'
import { expectSame, goldenFiles } from './ltx-samples.ts'

const KERNEL = '../../../src/core/ltx/codec/kernel.ts'
const blocks = new Map<string, Uint8Array>()
let decodeLtx: typeof ltx.decodeLtx
let encodeLtx: typeof ltx.encodeLtx

// The reference's compressor chooses other matches than ours, which changes sizes, index and checksum.
// With its blocks in the place of ours, every byte of the rest must come out as the reference wrote it.
// The modules are loaded again, because other files of this process have the real compressor.
beforeAll(async () => {
  vi.resetModules()
  vi.doMock(KERNEL, async (importActual) => {
    const actual = await importActual<typeof codec>()
    const compress = (length: number): number => {
      const page = actual.memory.subarray(actual.INPUT, actual.INPUT + length)
      const block = blocks.get(Buffer.from(page).toString('hex'))
      if (block === undefined) throw new Error('The page is not in the reference file.')
      actual.memory.set(block, actual.OUTPUT)
      return block.length
    }
    return { ...actual, kernel: { ...actual.kernel, compress } }
  })
  ;({ decodeLtx, encodeLtx } = await import('../../../src/core/ltx/index.ts'))
})
afterAll(() => {
  vi.doUnmock(KERNEL)
  vi.resetModules()
})

describe('our output, given the compressed blocks of the reference', () => {
  it.each(goldenFiles().filter(({ name }) => name !== 'i-incomplete-snapshot'))(
    '$encoding $name is byte-equal as a whole',
    ({ encoding, bytes }) => {
      const { header, pages, trailer } = decodeLtx(bytes)
      for (const entry of readIndex(bytes)) {
        const { data } = pages.find((page) => page.pgno === entry.pgno)!
        const frame = bytes.subarray(entry.offset, entry.offset + entry.size)
        // BLOCK: page header 6, size 4. FRAME: page header 6, frame header 7, size 4, and 8 at the end.
        const block = encoding === 'block' ? frame.subarray(10) : frame.subarray(17, -8)
        blocks.set(Buffer.from(data).toString('hex'), block)
      }
      const { postApplyChecksum } = trailer
      const ours = encodeLtx(header, pages, { encoding, postApplyChecksum })
      expectSame(ours, bytes)
      expect(ours).toHaveLength(bytes.length)
    },
  )
})

function readIndex(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const length = Number(view.getBigUint64(bytes.length - 24))
  return decodePageIndex(bytes.subarray(bytes.length - 24 - length, bytes.length - 16))
}
