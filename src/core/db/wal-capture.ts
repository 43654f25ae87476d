import { setTimeout as delay } from 'node:timers/promises'
import {
  isSameRun,
  startOfRun,
  WAL_FRAME_HEADER_SIZE,
  type WalHeader,
  WalScanner,
  walFrameOffset,
} from '../wal/index.ts'
import { type Continuity, proveContinuity, type ReplicatedEnd } from './continuity.ts'
import { continuityLost, DatabaseError, damagedWal } from './database-error.ts'
import { type EndedRun, runName } from './main-file-look.ts'
import type { ReadGuard } from './read-guard.ts'
import type { CapturePosition, CommittedEnd, DatabaseView, WalChange } from './read-view.ts'
import type { WalFile } from './wal-file.ts'
import type { WalIndexState } from './wal-index-file.ts'
import { WalRangeReader } from './wal-range-reader.ts'

/**
 * A change ends at the first commit after this many bytes of distinct pages, so that files stay
 * moderate in size.
 */
const CHANGE_BYTES = 64 << 20
const NO_INDEX: WalIndexState = { published: -1, backfilled: -1 }
/** How long to try to get a consistent view, in milliseconds. */
const VIEW_TIMEOUT_MS = 60_000
/** How long published frames may stay unreadable before continuity is given up, in milliseconds. */
const UNREADABLE_MS = 5000
const LOST = 'the WAL was restarted before all of it had been captured'

/** Position of a capture before `resume` or `pinFullView`. */
const NOWHERE: CapturePosition = {
  run: undefined,
  wal: { frame: 0, checksum1: 0, checksum2: 0 },
  commit: 0,
}

/**
 * Follows one database's WAL from commit to commit, guarded by a read mark.
 *
 * Frames that the WAL index has not published are never read: they may belong to a transaction that
 * is still being written, or whose writer died before the commit.
 */
export class WalCapture {
  readonly #wal: WalFile
  readonly #guard: ReadGuard
  readonly #pageSize: number
  readonly #path: string
  readonly #reader: WalRangeReader
  #position = NOWHERE
  /** Upper bound of the held read mark, in frames of the current run. */
  #mark = 0
  /**
   * False after a restart until a new mark is taken: a second restart would mean that the guard was
   * lost.
   */
  #mayRestart = true
  #unreadableSince: number | undefined
  #isGuarding = false
  /** The run before the present one, if this capture has followed it to its end. */
  #earlier: EndedRun | undefined
  /** The WAL index when the mark was last taken. */
  #indexAtMark: WalIndexState = NO_INDEX

  constructor(path: string, wal: WalFile, guard: ReadGuard, pageSize: number) {
    this.#path = path
    this.#wal = wal
    this.#guard = guard
    this.#pageSize = pageSize
    this.#reader = new WalRangeReader(wal, pageSize)
  }

  /**
   * Lets other connections' checkpoints copy as much as they can while there is nothing left to
   * capture. Cheap, and a no-op if nothing has changed. Without it a FULL, RESTART or TRUNCATE
   * checkpoint of the application would wait for walsync until its busy timeout.
   */
  releaseIdleMark(): void {
    const { published, backfilled } = this.#guard.state()
    if (published !== this.#position.wal.frame) return
    const changed =
      published !== this.#indexAtMark.published || backfilled !== this.#indexAtMark.backfilled
    if (changed && (published > this.#mark || backfilled === published)) this.advanceReadMark()
  }

  /**
   * After a restart of the log, takes a mark in the new run. Under mark 0, every commit of an
   * application beyond its autocheckpoint limit would sort all frames of the WAL, only to find that
   * nothing may be copied.
   *
   * @param before called before that: until then no checkpoint has copied anything
   */
  retakeMarkAfterRestart(before: () => void): void {
    const header = this.#wal.readHeader()
    const { run } = this.#position
    if (header === undefined || this.#guard.state().published === 0) return
    const isRestarted = run === undefined || !isSameRun(run, header)
    if (!isRestarted && this.#mark > 0) return
    before()
    if (isRestarted) this.#acceptRestart(run, header)
    if (this.#mark === 0) this.advanceReadMark()
  }

  /** The captured run, as far as it has been captured, and the one before it if that is known. */
  get runs(): { readonly captured: EndedRun; readonly earlier: EndedRun | undefined } {
    const { run, wal } = this.#position
    return { captured: { name: runName(run), frames: wal.frame }, earlier: this.#earlier }
  }

  /** Everything up to here has been captured. */
  get position(): CapturePosition {
    return this.#position
  }

  /**
   * Upper bound of the held read mark, in frames of the current run; `undefined` before one was
   * taken.
   */
  get mark(): number | undefined {
    return this.#isGuarding ? this.#mark : undefined
  }

  /**
   * Are there frames of the current run after those that the WAL index has published? Then a
   * transaction is being written, or its commit is waiting for an fsync.
   */
  get hasUnpublished(): boolean {
    const { published } = this.#guard.state()
    const header = this.#wal.readHeader()
    if (header === undefined) return this.#wal.size() > 0
    const { run } = this.#position
    if (run !== undefined && !isSameRun(run, header)) return true
    const frame = new Uint8Array(WAL_FRAME_HEADER_SIZE)
    const read = this.#wal.read(frame, walFrameOffset(published, this.#pageSize))
    if (read < frame.length) return false
    const view = new DataView(frame.buffer)
    return view.getUint32(8) === header.salt1 && view.getUint32(12) === header.salt2
  }

  /** Has everything under the held mark been captured? `view` requires it. */
  get isFullyCaptured(): boolean {
    return this.#position.wal.frame >= this.#mark
  }

  /** The end of what has been committed so far; `undefined` while a writer is restarting the log. */
  committedEnd(): CommittedEnd | undefined {
    const capturing = this.#position.run
    let { published } = this.#guard.state()
    const run = this.#wal.readHeader()
    if (run === undefined) {
      return published === 0 ? { run, frame: 0, capturing } : undefined
    }
    // The count may belong to the run before this header. Read again, it belongs to this one.
    if (capturing === undefined || !isSameRun(capturing, run)) {
      published = this.#guard.state().published
    }
    return { run, frame: published, capturing }
  }

  /**
   * Has everything up to that end been captured? A later run of the log begins only after that, or
   * after a new base.
   */
  hasCaptured({ run: of, frame, capturing }: CommittedEnd): boolean {
    const { run, wal } = this.#position
    if (of === undefined || frame === 0) return this.isFullyCaptured
    if (run === undefined) return false
    if (isSameRun(run, of)) return wal.frame >= frame
    return capturing === undefined || !isSameRun(run, capturing)
  }

  /** Size of the published frames of the current run in the WAL, in bytes: what a restart would free. */
  walBytes(): number {
    return walFrameOffset(this.#guard.state().published, this.#pageSize)
  }

  /**
   * Takes a read mark, and starts where a replica ends if the WAL is proven to continue from there.
   *
   * @param commit size of the database in pages at that end
   */
  resume(end: ReplicatedEnd, commit: number, bootId: number): Continuity {
    this.#guard.take()
    const { published } = this.#guard.state()
    const result = this.#prove(end, published, bootId)
    if (!result.proven) return result
    this.#position = { run: result.header, wal: result.position, commit }
    this.#earlier = undefined
    this.#mark = published
    this.#isGuarding = true
    this.#mayRestart = true
    return result
  }

  /**
   * Moves to a position that exactly matches what the held read transaction sees, for a copy of the
   * whole database. The view can be read (`readView`) until the next call of `advanceReadMark`.
   */
  async pinFullView(signal?: AbortSignal): Promise<DatabaseView> {
    const deadline = Date.now() + VIEW_TIMEOUT_MS
    let scanner: WalScanner | undefined
    let run: WalHeader | undefined
    while (Date.now() < deadline) {
      signal?.throwIfAborted()
      const { published } = this.#guard.state()
      const header = published === 0 ? undefined : this.#wal.readHeader()
      if (header === undefined) scanner = undefined
      else if (scanner?.ended !== false || run === undefined || !isSameRun(run, header)) {
        scanner = new WalScanner(header, startOfRun(header), 0)
      }
      run = header
      if (run !== undefined && scanner !== undefined) {
        await this.#reader.read(run, scanner, published, Number.POSITIVE_INFINITY)
      }
      if ((scanner?.position.frame ?? 0) !== published) {
        if (!this.#guard.index.isOfLog(this.#wal, this.#pageSize))
          throw damagedWal(this.#path, 'it is not the log that its index describes')
        await delay(1)
        continue
      }
      this.#guard.take()
      const after = this.#guard.state()
      const now = after.published === 0 ? undefined : this.#wal.readHeader()
      const unchanged =
        run === undefined ? now === undefined : now !== undefined && isSameRun(run, now)
      if (after.published === published && unchanged) return this.#pinned(run, scanner, published)
    }
    throw damagedWal(this.#path, `no consistent view in ${VIEW_TIMEOUT_MS / 1000} s`)
  }

  /**
   * Reads what was committed since the position; `undefined` if there is nothing that can be read
   * now. Only `advance` changes the position.
   */
  async scan(): Promise<WalChange | undefined> {
    let { published } = this.#guard.state()
    // A log that was cut off has no header. `resume` holds mark 0 if all of it had been copied.
    this.#assertCaptured(published >= this.#mark || this.isFullyCaptured)
    const header = this.#wal.readHeader()
    if (header === undefined) return this.#unreadable(published)
    const { run } = this.#position
    if (run === undefined || !isSameRun(run, header)) {
      // Read again, because the first count may belong to the run before this header.
      published = this.#guard.state().published
      this.#assertCaptured(published > 0 || this.isFullyCaptured)
      if (published === 0) return undefined
      this.#acceptRestart(run, header)
    }
    const from = this.#position.wal
    if (published <= from.frame) {
      this.#unreadableSince = undefined
      return undefined
    }
    const scanner = await this.#reader.read(
      header,
      new WalScanner(header, from, this.#position.commit),
      published,
      CHANGE_BYTES / this.#pageSize,
    )
    this.#assertIndexed()
    if (scanner.position.frame === from.frame) return this.#unreadable(published)
    this.#unreadableSince = undefined
    return {
      run: header,
      from,
      to: scanner.position,
      commit: scanner.commit,
      smallestCommit: scanner.smallestCommit,
      pages: scanner.pages,
    }
  }

  /**
   * The whole database at the position, to be copied while capturing continues. Valid until the
   * next `advanceReadMark`. If the log was restarted in between, all of the view is in the file.
   */
  async view(): Promise<DatabaseView> {
    const position = this.#position
    const { run, wal } = position
    if (run === undefined || wal.frame === 0) return { ...position, pages: undefined }
    if (!this.isFullyCaptured)
      throw new TypeError('a view needs every frame under the mark captured')
    const scanner = await this.#reader.read(
      run,
      new WalScanner(run, startOfRun(run), 0),
      wal.frame,
      Number.POSITIVE_INFINITY,
    )
    if (this.#wal.isRestarted(run)) return { ...position, pages: undefined }
    const { checksum1, checksum2 } = scanner.position
    if (checksum1 !== wal.checksum1 || checksum2 !== wal.checksum2) {
      throw continuityLost(this.#path, 'captured frames of the WAL have changed')
    }
    return { ...position, pages: scanner.pages }
  }

  /**
   * Moves to the end of a file that another process wrote, if that end is proven to be in the
   * guarded run and so part of this database's own history.
   */
  adopt(end: ReplicatedEnd, commit: number): Continuity {
    const result = this.#prove(end, this.#guard.state().published, 0)
    if (!result.proven) return result
    this.#position = { run: result.header, wal: result.position, commit }
    this.#earlier = undefined
    return result
  }

  /**
   * Records a change as captured: its bytes are in a store, a spool or memory, so its frames are no
   * longer needed.
   */
  advance(change: WalChange): void {
    this.#position = { run: change.run, wal: change.to, commit: change.commit }
  }

  /**
   * Moves the read mark to the current end of the log, so that checkpoints may copy up to there. If
   * everything has been copied, the next writer may restart the log. Returns false and changes
   * nothing if frames under the held mark have not been captured yet, or if `take` returns false.
   */
  advanceReadMark(take: () => boolean = () => this.#guard.take()): boolean {
    const before = this.#guard.state()
    const header = this.#wal.readHeader()
    const { run, wal } = this.#position
    const sameRun =
      run === undefined ? before.published === 0 : header !== undefined && isSameRun(run, header)
    if (!sameRun || wal.frame < this.#mark) return false
    if (!take()) return false
    const after = this.#guard.state()
    const now = this.#wal.readHeader()
    const still = run === undefined || (now !== undefined && isSameRun(run, now))
    this.#mark = still ? after.published : 0
    this.#indexAtMark = after
    this.#mayRestart = true
    return true
  }

  #prove(end: ReplicatedEnd, published: number, bootId: number): Continuity {
    const read = (into: Uint8Array, offset: number) => this.#wal.read(into, offset)
    return proveContinuity(end, { header: this.#wal.readHeader(), published, bootId, read })
  }

  #pinned(
    run: WalHeader | undefined,
    scanner: WalScanner | undefined,
    published: number,
  ): DatabaseView {
    const commit = this.#guard.pageCount()
    this.#position = { run, wal: scanner?.position ?? NOWHERE.wal, commit }
    this.#earlier = undefined
    this.#mark = published
    this.#isGuarding = true
    this.#mayRestart = true
    this.#unreadableSince = undefined
    return { ...this.#position, pages: scanner?.pages }
  }

  /**
   * A restart means that the held mark was 0: the old run ended where the mark was taken, and
   * everything before that must have been captured. Under mark 0 nothing is copied, so a run with
   * frames cannot be restarted: any runs in between, such as those of repeated TRUNCATE
   * checkpoints, were empty. The new salts prove nothing more: each connection counts restarts for
   * itself, and one that has not restarted this log begins with random salts (`walRestartHdr` and
   * `walFrames` in SQLite's wal.c).
   */
  #acceptRestart(run: WalHeader | undefined, header: WalHeader): void {
    this.#assertIndexed()
    const isOfPageSize = run === undefined || run.pageSize === header.pageSize
    this.#assertCaptured(this.#mayRestart && this.isFullyCaptured && isOfPageSize)
    this.#earlier = this.runs.captured
    this.#position = { run: header, wal: startOfRun(header), commit: this.#position.commit }
    this.#mark = 0
    this.#indexAtMark = NO_INDEX
    this.#mayRestart = false
  }

  #assertCaptured(isCaptured: boolean): void {
    if (!isCaptured) throw continuityLost(this.#path, LOST)
  }

  /** Another log may have overwritten this one: its frames verify, but are of another database. */
  #assertIndexed(): void {
    if (this.#guard.index.isOfLog(this.#wal, this.#pageSize)) return
    const reason = `${this.#path}-wal was overwritten or cut off.`
    throw new DatabaseError('Replaced', this.#path, reason)
  }

  #unreadable(published: number): undefined {
    const { run, wal } = this.#position
    if (published === 0 || (published <= wal.frame && run !== undefined)) return undefined
    this.#unreadableSince ??= Date.now()
    if (Date.now() - this.#unreadableSince > UNREADABLE_MS) {
      throw continuityLost(this.#path, 'committed frames of the WAL do not verify')
    }
    return undefined
  }
}
