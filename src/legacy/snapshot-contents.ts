import { lockPage } from '../core/ltx/index.ts'
import type { ObjectStore } from '../core/store/index.ts'
import { type FrameChain, pageContent } from './frame-chain.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { ReadHistoryOptions } from './read-history.ts'
import { readObjects } from './read-objects.ts'

/** Checksums of the pages of a snapshot. */
export interface SnapshotContents {
  /** In bytes. */
  readonly pageSize: number
  /** CRC-64 of each page, the first page at index 0. */
  readonly pages: BigUint64Array
  /**
   * The database's change counter, which grows with each commit that writes page 1; `undefined` for
   * an empty snapshot.
   */
  readonly changeCounter: number | undefined
}

/** @throws StoreError; the signal's reason */
export async function readSnapshot(
  store: ObjectStore,
  snapshot: LegacySnapshot,
  pageSize: number,
  options: ReadHistoryOptions,
): Promise<SnapshotContents> {
  const pages = new BigUint64Array(Math.floor(snapshot.size / pageSize))
  let changeCounter: number | undefined
  // Pieces are whole pages, since both sizes are powers of two.
  for await (const { bytes, start } of readObjects(store, [snapshot], options)) {
    options.onBytes?.(bytes.length)
    for (let at = 0; at + pageSize <= bytes.length; at += pageSize) {
      pages[(start + at) / pageSize] = pageContent(bytes.subarray(at, at + pageSize))
      // Offset 24 of the database header, SQLite file format, section 1.3.
      changeCounter ??= new DataView(bytes.buffer, bytes.byteOffset).getUint32(24)
    }
  }
  return { pageSize, pages, changeCounter }
}

/**
 * CRC-64 of one page; `undefined` if the snapshot has no such page.
 *
 * @throws StoreError; the signal's reason
 */
export async function readPage(
  store: ObjectStore,
  { key, size }: LegacySnapshot,
  pgno: number,
  pageSize: number,
  options: ReadHistoryOptions,
): Promise<bigint | undefined> {
  const part = { start: (pgno - 1) * pageSize, end: pgno * pageSize }
  if (part.end > size) return undefined
  for await (const { bytes } of readObjects(store, [{ key, size, part }], options)) {
    options.onBytes?.(bytes.length)
    return pageContent(bytes)
  }
  return undefined
}

/** Frames of a chain, from index `from` on. */
export interface FrameRange {
  readonly chain: FrameChain
  readonly from: number
  readonly length: number
}

/** Which pages of a snapshot have contents that are also found elsewhere. */
export class KnownPages {
  readonly #marks: Uint8Array

  /**
   * @param other Another snapshot: the same content at the same place counts.
   * @param ranges Frames: the same content of the same page counts.
   */
  constructor(
    { pageSize, pages }: SnapshotContents,
    other: SnapshotContents | undefined,
    ranges: Iterable<FrameRange>,
  ) {
    const marks = new Uint8Array(pages.length)
    for (let i = 0; i < marks.length; i++) if (pages[i] === other?.pages[i]) marks[i] = 1
    for (const { chain, from, length } of ranges) {
      for (let i = from; i < from + length; i++) {
        const index = (chain.pgnos[i] as number) - 1
        if (pages[index] === chain.contents[i]) marks[index] = 1
      }
    }
    const lock = lockPage(pageSize) - 1
    if (lock < marks.length) marks[lock] = 1
    this.#marks = marks
  }

  has(pgno: number): boolean {
    return this.#marks[pgno - 1] === 1
  }

  get isAll(): boolean {
    return this.#marks.every((mark) => mark === 1)
  }
}
