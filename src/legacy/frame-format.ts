import { walFrameSize } from '../core/wal/index.ts'
import { ChainSplitter, type FrameFormat } from './frame-chain.ts'
import type { LegacySegment } from './list-legacy.ts'

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]

/** What most databases have; a guess that a single frame cannot contradict. */
export const USUAL_FORMAT: FrameFormat = { pageSize: 4096, bigEndian: false }

/** Bytes of a segment that `detectFormat` looks at: two of the largest frames. */
export const DETECT_BYTES = 2 * walFrameSize(65536)

/**
 * Page size and byte order of a segment, for neither is stored with it. Certain if its first frame
 * is the first of a WAL, or if its second continues the first. Otherwise `hint`, if the
 * segment's size allows it, or `undefined`.
 *
 * @param head The first bytes of the segment, `DETECT_BYTES` of them if it has so many.
 * @param hint What another segment of the database turned out to be.
 */
export function detectFormat(
  segment: LegacySegment,
  head: Uint8Array,
  hint: FrameFormat,
): FrameFormat | undefined {
  const { size } = segment
  const pageSizes = [hint.pageSize, ...PAGE_SIZES.filter((pageSize) => pageSize !== hint.pageSize)]
  for (const pageSize of pageSizes) {
    if (!isWhole(size, pageSize)) continue
    for (const bigEndian of [hint.bigEndian, !hint.bigEndian]) {
      if (isProven(segment, head, { pageSize, bigEndian })) return { pageSize, bigEndian }
    }
  }
  return isWhole(size, hint.pageSize) ? hint : undefined
}

function isWhole(size: number, pageSize: number): boolean {
  return size > 0 && size % walFrameSize(pageSize) === 0
}

function isProven(segment: LegacySegment, head: Uint8Array, format: FrameFormat): boolean {
  const bytes = head.subarray(0, 2 * walFrameSize(format.pageSize))
  const splitter = new ChainSplitter({ ...segment, size: bytes.length }, format)
  splitter.take(bytes)
  const [first] = splitter.end()
  return first !== undefined && (first.header !== undefined || first.length > 1)
}
