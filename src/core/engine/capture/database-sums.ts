import { setImmediate as turn } from 'node:timers/promises'
import { type DatabaseView, type PageImage, readView, type SourceDatabase } from '../../db/index.ts'
import { EMPTY_DATABASE_CHECKSUM, lockPage, pageHash, toggleChecksum } from '../../ltx/index.ts'

/** Larger databases are replicated without checksums: those of this many pages take 64 MiB. */
const MAX_PAGES = 8 << 20
/** How much to read between two turns of the event loop, in bytes. */
const SLICE_BYTES = 4 << 20

/**
 * The checksums after a change that has not been applied yet. In typed arrays: a large transaction
 * changes a hundred thousand pages and more.
 */
export interface StagedSums {
  readonly commit: number
  readonly value: bigint
  /** The changed pages, and their checksums in the same order. */
  readonly pgnos: Uint32Array
  readonly sums: BigUint64Array
}

/**
 * Checksums of all pages of one state, 8 bytes per page. With them a change need not read the pages
 * that it replaces: during a checkpoint the database file may already hold newer pages, or half of
 * one.
 */
export class DatabaseSums {
  #sums = new BigUint64Array(256)
  #commit = 0
  #value = EMPTY_DATABASE_CHECKSUM

  /** Checksum of the whole database. */
  get value(): bigint {
    return this.#value
  }

  get commit(): number {
    return this.#commit
  }

  /** Are there few enough pages to keep their checksums? */
  get canBeKept(): boolean {
    return this.#commit <= MAX_PAGES
  }

  /** Adds the next page of a whole database; pages must come in ascending order. */
  append(pgno: number, data: Uint8Array): void {
    this.appendSum(pgno, pageHash(pgno, data))
  }

  /** The same with the checksum of the page. */
  appendSum(pgno: number, sum: bigint): void {
    this.#value = toggleChecksum(this.#value, sum)
    this.#commit = pgno
    if (pgno > MAX_PAGES) return
    this.#reserve(pgno)
    this.#sums[pgno - 1] = sum
  }

  /**
   * The checksums after a change.
   *
   * @param commit size of the database after it, in pages
   * @param pages each changed page once
   * @param most how many pages there are at most
   */
  stage(commit: number, pages: Iterable<PageImage>, most: number): StagedSums {
    let value = this.#value
    let count = 0
    const pgnos = new Uint32Array(most)
    const sums = new BigUint64Array(most)
    for (const { pgno, data } of pages) {
      const sum = pageHash(pgno, data)
      value = toggleChecksum(toggleChecksum(value, this.#pageChecksumOf(pgno)), sum)
      pgnos[count] = pgno
      sums[count] = sum
      count += 1
    }
    for (let pgno = commit + 1; pgno <= this.#commit; pgno++) {
      value = toggleChecksum(value, this.#pageChecksumOf(pgno))
    }
    return { commit, value, pgnos: pgnos.subarray(0, count), sums: sums.subarray(0, count) }
  }

  apply({ commit, value, pgnos, sums }: StagedSums): void {
    this.#reserve(commit)
    for (const [i, pgno] of pgnos.entries()) this.#sums[pgno - 1] = sums[i]!
    if (commit < this.#commit) this.#sums.fill(0n, commit, this.#commit)
    this.#commit = commit
    this.#value = value
  }

  /** 0 for the lock page and for pages beyond the end. */
  #pageChecksumOf(pgno: number): bigint {
    return pgno <= this.#commit ? this.#sums[pgno - 1]! : 0n
  }

  #reserve(pages: number): void {
    if (pages <= this.#sums.length) return
    const larger = new BigUint64Array(Math.max(pages, Math.min(2 * this.#sums.length, MAX_PAGES)))
    larger.set(this.#sums)
    this.#sums = larger
  }
}

/**
 * Reads all of `view` once, with pauses. The read mark must not move in the meantime.
 *
 * @throws DatabaseError; the signal's reason
 */
export async function readSums(
  source: SourceDatabase,
  view: DatabaseView,
  signal: AbortSignal,
): Promise<DatabaseSums> {
  const sums = new DatabaseSums()
  const slice = Math.max(1, SLICE_BYTES / source.pageSize)
  for (const { pgno, data } of readView(source, view, lockPage(source.pageSize))) {
    sums.append(pgno, data)
    if (pgno % slice !== 0) continue
    await turn()
    signal.throwIfAborted()
  }
  return sums
}
