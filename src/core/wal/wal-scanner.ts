import { extendWalChecksum, type WalChecksum } from './wal-checksum.ts'
import type { WalHeader } from './wal-header.ts'
import { WAL_FRAME_HEADER_SIZE, walFrameSize } from './wal-header.ts'

/** A place between two frames of one run: how many frames lie before it, and the running checksum there. */
export interface WalPosition {
  readonly frame: number
  readonly checksum1: number
  readonly checksum2: number
}

/** The place before the first frame of a run, where the header's own checksum is the seed. */
export function startOfRun(header: WalHeader): WalPosition {
  return { frame: 0, checksum1: header.checksum1, checksum2: header.checksum2 }
}

/**
 * Reads frames of one run in order and keeps what has been committed. A frame counts only if both
 * salts and the running checksum fit; the first that does not ends the log, for SQLite leaves older
 * frames behind the newest. Frames after the last commit frame are not yet real (a cache spill,
 * perhaps rolled back later and overwritten), so `position` never passes a commit frame.
 */
export class WalScanner {
  /** The end of the last committed transaction seen. */
  position: WalPosition
  /** Database size in pages after that transaction; as given to the constructor if none was seen. */
  commit: number
  /** The smallest database size at any commit seen or given: pages above it must be among `pages` if the database grew again. */
  smallestCommit: number
  /** Newest committed frame index (from 0) of each page changed since the start; pages beyond `commit` are dropped. */
  readonly pages = new Map<number, number>()
  /** Valid frames seen, uncommitted ones included, counted from the start of the run. */
  frame: number

  readonly #header: WalHeader
  readonly #sum: WalChecksum
  #pending: number[] = []
  #ended = false

  constructor(header: WalHeader, from: WalPosition, commit: number) {
    this.#header = header
    this.#sum = { s1: from.checksum1, s2: from.checksum2 }
    this.position = from
    this.frame = from.frame
    this.commit = commit
    this.smallestCommit = commit
  }

  /** Has a frame been met that does not belong to this run? */
  get ended(): boolean {
    return this.#ended
  }

  /** Takes the next frames of the log. A last incomplete frame is ignored: pass it again with the rest. */
  scan(chunk: Uint8Array): void {
    const { pageSize } = this.#header
    const size = walFrameSize(pageSize)
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    for (let at = 0; at + size <= chunk.length && !this.#ended; at += size) {
      if (!this.#isValid(chunk, view, at, size)) {
        this.#ended = true
        return
      }
      this.#pending.push(view.getUint32(at))
      this.frame += 1
      const commit = view.getUint32(at + 4)
      if (commit !== 0) this.#commitPending(commit)
    }
  }

  #isValid(chunk: Uint8Array, view: DataView, at: number, size: number): boolean {
    const { salt1, salt2, bigEndian } = this.#header
    if (view.getUint32(at + 8) !== salt1 || view.getUint32(at + 12) !== salt2) return false
    if (view.getUint32(at) === 0) return false
    const sum = this.#sum
    extendWalChecksum(sum, chunk, at, at + 8, bigEndian)
    extendWalChecksum(sum, chunk, at + WAL_FRAME_HEADER_SIZE, at + size, bigEndian)
    return sum.s1 === view.getUint32(at + 16) && sum.s2 === view.getUint32(at + 20)
  }

  #commitPending(commit: number): void {
    const first = this.frame - this.#pending.length
    for (const [i, pgno] of this.#pending.entries()) {
      if (pgno <= commit) this.pages.set(pgno, first + i)
    }
    this.#pending = []
    if (commit < this.commit) {
      for (const pgno of this.pages.keys()) if (pgno > commit) this.pages.delete(pgno)
    }
    this.commit = commit
    if (commit < this.smallestCommit) this.smallestCommit = commit
    this.position = { frame: this.frame, checksum1: this.#sum.s1, checksum2: this.#sum.s2 }
  }
}

/** Pages that the database gained and that no committed frame holds: always none unless the log was misread. */
export function missingGrowth(
  change: {
    readonly smallestCommit: number
    readonly commit: number
    readonly pages: ReadonlyMap<number, number>
  },
  lockPage: number,
): number[] {
  const missing: number[] = []
  for (let pgno = change.smallestCommit + 1; pgno <= change.commit; pgno++) {
    if (pgno !== lockPage && !change.pages.has(pgno)) missing.push(pgno)
  }
  return missing
}
