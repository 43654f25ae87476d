import type { ObjectStore } from '../core/store/index.ts'
import { walFrameSize } from '../core/wal/index.ts'
import { ChainSplitter, type FrameChain, type FrameFormat } from './frame-chain.ts'
import type { LegacySegment } from './list-legacy.ts'
import { type ReadObjectsOptions, readObjects } from './read-objects.ts'
import { assembleHistory, type WalHistory } from './wal-history.ts'

export interface ReadHistoryOptions extends ReadObjectsOptions {
  /** Called with the number of bytes of each read. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Reads every segment of a database once and puts the frames in order. Keeps 24 bytes per frame in
 * memory, and no pages.
 *
 * @param segments By `uploadedAt`.
 * @throws StoreError; the signal's reason
 */
export async function readHistory(
  store: ObjectStore,
  segments: readonly LegacySegment[],
  options: ReadHistoryOptions,
): Promise<WalHistory> {
  const chains: FrameChain[] = []
  let hint = USUAL_FORMAT
  let splitter: ChainSplitter | undefined
  for await (const piece of readObjects(store, segments, options)) {
    const { object, bytes, start, last } = piece
    options.onBytes?.(bytes.length)
    if (start === 0) {
      const found = detectFormat(object, bytes.subarray(0, DETECT_BYTES), hint)
      hint = found ?? hint
      splitter = found && new ChainSplitter(object, found)
    }
    splitter?.take(bytes)
    if (last && splitter !== undefined) {
      for (const chain of splitter.end()) chains.push(chain)
    }
  }
  return assembleHistory(segments, chains)
}

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]

/** What most databases use; a guess for when a single frame proves nothing. */
export const USUAL_FORMAT: FrameFormat = { pageSize: 4096, bigEndian: false }

/** How many bytes of a segment `detectFormat` needs: two of the largest frames. */
const DETECT_BYTES = 2 * walFrameSize(65536)

/**
 * Page size and byte order of a segment; neither is stored with it. Certain if its first frame is
 * the first of a WAL, or if its second frame continues the first. Otherwise `hint` if the segment's
 * size allows it, else `undefined`.
 *
 * @param head The first `DETECT_BYTES` bytes of the segment, or all of them if it is shorter.
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
