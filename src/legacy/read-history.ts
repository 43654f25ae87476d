import type { ObjectStore } from '../core/store/index.ts'
import { ChainSplitter, type FrameChain } from './frame-chain.ts'
import { DETECT_BYTES, detectFormat, USUAL_FORMAT } from './frame-format.ts'
import type { LegacySegment } from './list-legacy.ts'
import { type ReadObjectsOptions, readObjects } from './read-objects.ts'
import { assembleHistory, type WalHistory } from './wal-history.ts'

export interface ReadHistoryOptions extends ReadObjectsOptions {
  /** Told how many bytes each read brought. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Reads every segment of a database, each byte once, and puts the frames in order. Holds 24 bytes a
 * frame in memory, and no page.
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
