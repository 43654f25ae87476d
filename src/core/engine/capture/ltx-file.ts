import {
  type CapturePosition,
  DatabaseError,
  type DatabaseView,
  type PageImage,
  type PageRange,
  type ReplicatedEnd,
  readChange,
  readView,
  readViewRanges,
  type SourceDatabase,
  type WalChange,
} from '../../db/index.ts'
import {
  type DatabaseChecksums,
  FLAG_NO_CHECKSUM,
  LtxEncoder,
  type LtxHeader,
  lockPage,
  type TXID,
} from '../../ltx/index.ts'
import { giveAway, type PutSource } from '../../store/index.ts'
import { missingGrowth, type WalHeader, walFrameOffset, walFrameSize } from '../../wal/index.ts'
import { DatabaseSums } from './database-sums.ts'
import { encodeInThreads, encoderThreadsFor } from './encoder-threads.ts'

/** Who wrote a file, and when. */
export interface Stamp {
  /** Time of the state that the file ends with, in milliseconds. */
  readonly timestamp: number
  /** Identifies the writing process. */
  readonly nodeId: bigint
  /** Identifies the boot of the machine; 0 if unknown. */
  readonly bootId: number
}

/**
 * An LTX file that can be encoded any number of times to the same bytes, as long as its frames are
 * in the WAL.
 */
export interface LtxFile extends PutSource {
  readonly header: LtxHeader
  /** Most pages that it can hold. */
  readonly pages: number
}

/** A file of the whole database. Its checksums are known once it has been encoded. */
export interface FullFile extends LtxFile {
  /** Of the last encoding. */
  sums(): DatabaseSums | undefined
}

/**
 * The file of one sync: the changed pages of `change`.
 *
 * @throws DatabaseError `ContinuityLost` if `change` lacks a page that a growing database gained
 */
export function changeFile(
  source: SourceDatabase,
  change: WalChange,
  txid: TXID,
  stamp: Stamp,
  checksums?: DatabaseChecksums,
): LtxFile {
  assertGrowthComplete(source, change)
  const { pageSize, wal } = source
  const header = headerOf(pageSize, change, { minTxid: txid, maxTxid: txid }, stamp)
  return {
    header,
    pages: change.pages.size,
    open: () => encode(header, readChange(change, wal, pageSize, lockPage(pageSize)), checksums),
  }
}

/** LTX requires a file to hold every page between the old and the new size of the database. */
function assertGrowthComplete({ path, pageSize }: SourceDatabase, change: WalChange): void {
  const [missing] = missingGrowth(change, lockPage(pageSize))
  if (missing === undefined) return
  const message = `The WAL of ${path} lacks page ${missing} of ${change.commit}.`
  throw new DatabaseError('ContinuityLost', path, message)
}

/** A file of the whole database as `view` sees it. @param before checksum of what it replaces */
export function fullFile(
  source: SourceDatabase,
  view: DatabaseView,
  txids: { readonly minTxid: TXID; readonly maxTxid: TXID },
  stamp: Stamp,
  onProgress?: OnProgress,
  before?: bigint,
): FullFile {
  const { pageSize } = source
  const { run, wal: to, commit } = view
  const header = headerOf(pageSize, { run, from: startOf(), to, commit }, txids, stamp)
  let sums: DatabaseSums | undefined
  const open = () => {
    sums = new DatabaseSums()
    const whole = { source, view, sums, before, onProgress }
    const threads = encoderThreadsFor(commit * pageSize)
    return threads === 0 ? encodeWhole(header, whole) : encodeWholeInThreads(header, whole, threads)
  }
  return { header, pages: commit, open, sums: () => sums }
}

/** All pages of a view. */
interface WholeView {
  readonly source: SourceDatabase
  readonly view: DatabaseView
  /** Is filled while the pages are encoded. */
  readonly sums: DatabaseSums
  /** Checksum of what the file replaces. */
  readonly before: bigint | undefined
  readonly onProgress: OnProgress | undefined
}

function encodeWhole(
  header: LtxHeader,
  { source, view, sums, before, onProgress }: WholeView,
): Generator<Uint8Array> {
  const pages = summed(
    whileCurrent(source, readView(source, view, lockPage(source.pageSize))),
    sums,
  )
  return encode(header, pages, () => ({ before, after: sums.value }), onProgress)
}

async function* encodeWholeInThreads(
  header: LtxHeader,
  { source, view, sums, before, onProgress }: WholeView,
  threads: number,
): AsyncGenerator<Uint8Array> {
  const { pageSize } = source
  const encoder = new LtxEncoder(header)
  const read = (memoryFor: () => Uint8Array): Generator<PageRange> =>
    whileCurrent(source, readViewRanges(source, view, lockPage(pageSize), memoryFor))
  for await (const range of encodeInThreads(threads, pageSize, read)) {
    encoder.appendRange(range)
    for (const [i, sum] of range.sums.entries()) sums.appendSum(range.first + i, sum)
    onProgress?.({ pagesRead: sums.commit, pagesTotal: header.commit })
    yield* encoder.drain().map(giveAway)
  }
  encoder.finish(undefined, { before, after: sums.value })
  onProgress?.({ pagesRead: header.commit, pagesTotal: header.commit })
  yield* encoder.drain().map(giveAway)
}

/**
 * Before the first page and after the last, checks that the files still belong to the database: if
 * another database took its place in the meantime, the copy would mix the two.
 */
function* whileCurrent<T>(source: SourceDatabase, pages: Iterable<T>): Generator<T> {
  source.assertCurrent()
  yield* pages
  source.assertCurrent()
}

/** A file of some pages of `view`, ascending: the difference from another state of the database. */
export function pagesFile(
  source: SourceDatabase,
  view: DatabaseView,
  pages: readonly PageImage[],
  txid: TXID,
  stamp: Stamp,
  checksums?: DatabaseChecksums,
): LtxFile {
  const { run, wal: to, commit } = view
  const span = { run, from: startOf(), to, commit }
  const header = headerOf(source.pageSize, span, { minTxid: txid, maxTxid: txid }, stamp)
  return { header, pages: pages.length, open: () => encode(header, pages, checksums) }
}

/** The whole file in memory. */
export function fileBytes(file: LtxFile): Uint8Array {
  return Buffer.concat([...(file.open() as Iterable<Uint8Array>)])
}

/**
 * Where a file ends in the WAL; `undefined` if its header is not exact enough to continue from
 * there.
 */
export function endOfHeader(header: LtxHeader): ReplicatedEnd | undefined {
  const { walMark, walOffset, walSize, pageSize } = header
  if (walMark === undefined || walOffset === 0) return undefined
  const frame = (walOffset + walSize - walFrameOffset(0, pageSize)) / walFrameSize(pageSize)
  if (!Number.isInteger(frame) || frame < 0) return undefined
  return { pageSize, salt1: header.walSalt1, salt2: header.walSalt2, frame, ...walMark }
}

/**
 * Was a file that ends there written from this very database, even if that run of the WAL is gone?
 * It was if it ends in a run of which as much was captured here, on the same boot of the machine.
 *
 * @param captured headers of files that were captured here
 */
export function endsInCaptured(end: ReplicatedEnd, captured: readonly LtxHeader[]): boolean {
  return captured.some((header) => {
    const own = endOfHeader(header)
    if (own === undefined || own.frame < end.frame || end.bootId === 0) return false
    const isSameRun = own.salt1 === end.salt1 && own.salt2 === end.salt2
    return isSameRun && own.bootId === end.bootId && own.sequence === end.sequence
  })
}

/** The same for a remembered position; `undefined` for one without a WAL. */
export function endAtPosition(
  { run, wal }: CapturePosition,
  pageSize: number,
  bootId: number,
): ReplicatedEnd | undefined {
  if (run === undefined) return undefined
  const { sequence, salt1, salt2 } = run
  return { pageSize, salt1, salt2, sequence, bootId, ...wal }
}

/** Where a file of a whole state begins in the WAL. */
function startOf() {
  return { frame: 0, checksum1: 0, checksum2: 0 }
}

/** A range of one run of the WAL; without a run, the database had no WAL yet. */
type Span = Pick<WalChange, 'from' | 'to' | 'commit'> & { readonly run: WalHeader | undefined }

function headerOf(
  pageSize: number,
  { run, from, to, commit }: Span,
  txids: { readonly minTxid: TXID; readonly maxTxid: TXID },
  stamp: Stamp,
): LtxHeader {
  return {
    ...txids,
    flags: FLAG_NO_CHECKSUM,
    pageSize,
    commit,
    timestamp: stamp.timestamp,
    preApplyChecksum: 0n,
    nodeId: stamp.nodeId,
    walOffset: run === undefined ? 0 : walFrameOffset(from.frame, pageSize),
    walSize: run === undefined ? 0 : (to.frame - from.frame) * walFrameSize(pageSize),
    walSalt1: run?.salt1 ?? 0,
    walSalt2: run?.salt2 ?? 0,
    walMark: run && {
      sequence: run.sequence,
      checksum1: to.checksum1,
      checksum2: to.checksum2,
      bootId: stamp.bootId,
    },
  }
}

function* summed(pages: Iterable<PageImage>, sums: DatabaseSums): Generator<PageImage> {
  for (const page of pages) {
    sums.append(page.pgno, page.data)
    yield page
  }
}

type OnProgress = (progress: { pagesRead: number; pagesTotal: number }) => void

/** Pages between two progress reports. */
const PROGRESS_PAGES = 1000

function* encode(
  header: LtxHeader,
  pages: Iterable<PageImage>,
  checksums: DatabaseChecksums | (() => DatabaseChecksums) | undefined,
  onProgress?: OnProgress,
): Generator<Uint8Array> {
  const encoder = new LtxEncoder(header)
  for (const { pgno, data } of pages) {
    encoder.encodePage(pgno, data)
    if (pgno % PROGRESS_PAGES === 0) onProgress?.({ pagesRead: pgno, pagesTotal: header.commit })
    yield* encoder.drain().map(giveAway)
  }
  encoder.finish(undefined, typeof checksums === 'function' ? checksums() : checksums)
  onProgress?.({ pagesRead: header.commit, pagesTotal: header.commit })
  yield* encoder.drain().map(giveAway)
}
