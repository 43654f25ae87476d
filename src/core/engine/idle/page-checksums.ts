import type { CapturePosition, DatabaseView } from '../../db/index.ts'
import { type PageImage, readView, type SourceDatabase } from '../../db/index.ts'
import { lockPage, pageHash, type TXID } from '../../ltx/index.ts'

/**
 * One state of a small database, remembered as a checksum of each page, 8 bytes per page. It shows
 * later which pages have changed, whatever happened to the WAL in between.
 */
export interface PageChecksums {
  /** Newest TXID of the replica, which holds the state. */
  readonly txid: TXID
  /** Position of the state in the WAL. */
  readonly position: CapturePosition
  /** In bytes. */
  readonly pageSize: number
  /** By page number, starting at 1; 0 for the lock page. */
  readonly sums: BigUint64Array
}

/** Reads the whole of `view` once. */
export function readPageChecksums(
  source: SourceDatabase,
  view: DatabaseView,
  txid: TXID,
): PageChecksums {
  const { pageSize } = source
  const { run, wal, commit } = view
  const sums = new BigUint64Array(commit)
  for (const { pgno, data } of readView(source, view, lockPage(pageSize))) {
    sums[pgno - 1] = pageHash(pgno, data)
  }
  return { txid, position: { run, wal, commit }, pageSize, sums }
}

/**
 * Copies of the pages of `view` that differ from the remembered state, ascending. Includes page 1
 * if only the size of the database differs. Empty if nothing has changed.
 *
 * @param maxBytes how much to hold in memory
 * @returns `undefined` if it is more
 */
export function changedPages(
  source: SourceDatabase,
  view: DatabaseView,
  { sums }: PageChecksums,
  maxBytes: number,
): PageImage[] | undefined {
  const changed: PageImage[] = []
  for (const { pgno, data } of readView(source, view, lockPage(source.pageSize))) {
    const known = pgno <= sums.length && sums[pgno - 1] === pageHash(pgno, data)
    const resized = pgno === 1 && sums.length !== view.commit
    if (!known || resized) changed.push({ pgno, data: new Uint8Array(data) })
    if (changed.length * source.pageSize > maxBytes) return undefined
  }
  return changed
}
