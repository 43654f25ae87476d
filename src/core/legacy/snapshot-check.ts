import { lockPage } from '../ltx/index.ts'
import type { ObjectStore } from '../store/index.ts'
import { pageContent } from './frame-chain.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { ReadHistoryOptions } from './read-history.ts'
import { readObjects } from './read-objects.ts'
import type { WalHistory } from './wal-history.ts'

/** A snapshot's pages held against everything else that is in the replica. */
export interface SnapshotCheck {
  /** CRC-64 of each page, the first page at index 0. */
  readonly contents: BigUint64Array
  /** Is this content of page `pgno` also in a frame, or at the same place in another snapshot? */
  isKnown(pgno: number): boolean
  /** Are all pages known? Then nothing is in it that was not also stored as a frame or before. */
  readonly allKnown: boolean
}

/**
 * Reads a snapshot, and another one to compare it with, and looks for each page elsewhere. A
 * snapshot has no checksum, and may be newer than the last frame; a page that nothing else
 * has is damaged, or of a commit that was never stored.
 *
 * @param other The one before it, if any: only what is older shows that nothing is newer.
 * @throws StoreError; the signal's reason
 */
export async function checkSnapshot(
  store: ObjectStore,
  history: WalHistory,
  snapshot: LegacySnapshot,
  other: LegacySnapshot | undefined,
  pageSize: number,
  options: ReadHistoryOptions,
): Promise<SnapshotCheck> {
  const contents = await readContents(store, snapshot, pageSize, options)
  const known = new Uint8Array(contents.length)
  if (other !== undefined) {
    const others = await readContents(store, other, pageSize, options)
    for (let i = 0; i < known.length; i++) if (contents[i] === others[i]) known[i] = 1
  }
  for (const chain of [...history.places.keys(), ...history.loose]) {
    for (let i = 0; i < chain.length; i++) {
      const index = (chain.pgnos[i] as number) - 1
      if (contents[index] === chain.contents[i]) known[index] = 1
    }
  }
  const lock = lockPage(pageSize) - 1
  if (lock < known.length) known[lock] = 1
  return {
    contents,
    isKnown: (pgno) => known[pgno - 1] === 1,
    allKnown: known.every((mark) => mark === 1),
  }
}

async function readContents(
  store: ObjectStore,
  snapshot: LegacySnapshot,
  pageSize: number,
  options: ReadHistoryOptions,
): Promise<BigUint64Array> {
  const contents = new BigUint64Array(Math.floor(snapshot.size / pageSize))
  // Pieces are whole pages, since both sizes are powers of two.
  for await (const { bytes, start } of readObjects(store, [snapshot], options)) {
    options.onBytes?.(bytes.length)
    for (let at = 0; at + pageSize <= bytes.length; at += pageSize) {
      contents[(start + at) / pageSize] = pageContent(bytes.subarray(at, at + pageSize))
    }
  }
  return contents
}
