import {
  WAL_FRAME_HEADER_SIZE,
  type WalHeader,
  type WalPosition,
  walFrameOffset,
} from '../wal/index.ts'
import { DatabaseError } from './database-error.ts'
import type { DatabaseFile } from './database-file.ts'
import type { WalFile } from './wal-file.ts'

/**
 * A point in the history of a database: a run of the WAL (`undefined` before the first), a position
 * in it, and the size of the database there in pages.
 */
export interface CapturePosition {
  readonly run: WalHeader | undefined
  readonly wal: WalPosition
  readonly commit: number
}

/**
 * Whole transactions after a position, not yet read into memory: `pages` says which WAL frame holds
 * the newest content of each changed page.
 */
export interface WalChange {
  readonly run: WalHeader
  readonly from: WalPosition
  readonly to: WalPosition
  /** Database size in pages at `to`. */
  readonly commit: number
  /** Smallest database size in the range: pages above it must all be present up to `commit`. */
  readonly smallestCommit: number
  readonly pages: ReadonlyMap<number, number>
}

/**
 * The whole database at one position: the pages that `pages` lists are in the WAL, all others in
 * the file.
 */
export interface DatabaseView extends CapturePosition {
  /** Newest frame index of each page that must be read from the WAL; `undefined` if none must. */
  readonly pages: ReadonlyMap<number, number> | undefined
}

/** The end of what was committed at one moment, according to the WAL index. */
export interface CommittedEnd {
  /** The log that the index belonged to; `undefined` if it was empty. */
  readonly run: WalHeader | undefined
  /** Frames published in it. */
  readonly frame: number
  /** The log that was being captured at that moment. */
  readonly capturing: WalHeader | undefined
}

/** One page. `data` is valid until the next page is read. */
export interface PageImage {
  readonly pgno: number
  readonly data: Uint8Array
}

/** The files of a database. */
export interface PageSource {
  readonly file: DatabaseFile
  readonly wal: WalFile
  /** In bytes. */
  readonly pageSize: number
}

/** Consecutive pages. `data` is the memory that the reader was given, and has whole pages. */
export interface PageRange {
  /** Number of the first page. */
  readonly first: number
  readonly data: Uint8Array
}

const BATCH_BYTES = 1 << 20

/** The pages of `readViewRanges` one by one. */
export function* readView(
  source: PageSource,
  view: DatabaseView,
  lockPage: number,
): Generator<PageImage> {
  const { pageSize } = source
  const pages = Math.max(1, Math.min(view.commit, Math.floor(BATCH_BYTES / pageSize)))
  const buffer = new Uint8Array(pages * pageSize)
  for (const { first, data } of readViewRanges(source, view, lockPage, () => buffer)) {
    for (let at = 0; at < data.length; at += pageSize) {
      yield { pgno: first + at / pageSize, data: data.subarray(at, at + pageSize) }
    }
  }
}

/**
 * All pages of a database as one held read transaction sees it (`WalCapture.pinFullView`), in
 * ascending order, without the lock page: from the WAL if they are there, otherwise from the file.
 * While the mark is held, no checkpoint copies anything newer into the file.
 *
 * If the log is restarted in the meantime, the held mark is 0: the whole view has been copied into
 * the file and stays there, so the WAL is no longer needed.
 *
 * @param memoryFor where to read the next range: memory of at least one page
 * @throws DatabaseError `Damaged` if the file ends before the page count says so
 */
export function* readViewRanges(
  source: PageSource,
  view: DatabaseView,
  lockPage: number,
  memoryFor: () => Uint8Array,
): Generator<PageRange> {
  const { pageSize, file } = source
  const { commit, run } = view
  let overlay = run && view.pages && { run, pages: view.pages }
  for (let first = 1; first <= commit; ) {
    if (first === lockPage) {
      first += 1
      continue
    }
    const memory = memoryFor()
    const end = first < lockPage ? Math.min(lockPage, commit + 1) : commit + 1
    const count = Math.min(Math.floor(memory.length / pageSize), end - first)
    const data = memory.subarray(0, count * pageSize)
    let read = file.read(data, (first - 1) * pageSize)
    if (overlay !== undefined && !overlayWal(source, overlay, data, first, count)) {
      overlay = undefined
      read = file.read(data, (first - 1) * pageSize)
    }
    for (let pgno = first + Math.floor(read / pageSize); pgno < first + count; pgno++) {
      if (!overlay?.pages.has(pgno)) throw shortFile(file, pgno, commit)
    }
    yield { first, data }
    first += count
  }
}

/**
 * The changed pages of `change`, ascending, without the lock page, each read from its WAL frame.
 *
 * @throws DatabaseError `ContinuityLost` after the last page if the log was restarted meanwhile: a
 *   writer puts the new header before it overwrites frames, so what was read may not be the change
 */
export function* readChange(
  change: WalChange,
  wal: WalFile,
  pageSize: number,
  lockPage: number,
): Generator<PageImage> {
  const data = new Uint8Array(pageSize)
  for (const pgno of ascending(change.pages)) {
    if (pgno === lockPage) continue
    if (!readFrame(wal, change, change.pages.get(pgno)!, data)) break
    yield { pgno, data }
  }
  if (!wal.isRestarted(change.run)) return
  const message = `The WAL ${wal.path} was restarted while its frames were read.`
  throw new DatabaseError('ContinuityLost', wal.path, message)
}

function ascending(pages: ReadonlyMap<number, number>): Uint32Array {
  const pgnos = new Uint32Array(pages.size)
  let at = 0
  for (const pgno of pages.keys()) pgnos[at++] = pgno
  return pgnos.sort()
}

interface Overlay {
  readonly run: WalHeader
  readonly pages: ReadonlyMap<number, number>
}

/** False if the log was restarted before the pages had been read. */
function overlayWal(
  { pageSize, wal }: PageSource,
  overlay: Overlay,
  buffer: Uint8Array,
  first: number,
  count: number,
): boolean {
  let overlaid = false
  for (let i = 0; i < count; i++) {
    const frame = overlay.pages.get(first + i)
    if (frame === undefined) continue
    overlaid = true
    const into = buffer.subarray(i * pageSize, (i + 1) * pageSize)
    if (!readFrame(wal, overlay, frame, into)) return false
  }
  return !overlaid || !wal.isRestarted(overlay.run)
}

/**
 * Fills `into` with the page of a frame. False if the frame is gone because a restart of the log
 * truncated the file.
 */
function readFrame(
  wal: WalFile,
  { run }: { readonly run: WalHeader },
  frame: number,
  into: Uint8Array,
): boolean {
  const offset = walFrameOffset(frame, into.length) + WAL_FRAME_HEADER_SIZE
  if (wal.read(into, offset) === into.length) return true
  if (wal.isRestarted(run)) return false
  throw new DatabaseError('Damaged', wal.path, `${wal.path} ends before frame ${frame + 1}.`)
}

function shortFile(file: DatabaseFile, pgno: number, commit: number): DatabaseError {
  return new DatabaseError(
    'Damaged',
    file.path,
    `${file.path} ends before page ${pgno} of ${commit}.`,
    { hint: 'Run PRAGMA integrity_check on the database.' },
  )
}
