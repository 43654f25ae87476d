import type { FileHandle } from 'node:fs/promises'
import {
  type DatabaseChecksums,
  EMPTY_DATABASE_CHECKSUM,
  formatTxid,
  type LtxHeader,
  lockPage,
  toggleChecksum,
} from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { PageWriter } from './page-writer.ts'
import { RestoreError } from './restore-error.ts'
import type { RestorePlan } from './restore-plan.ts'

/** Less than the smallest page frame with its index entry. */
const MIN_PAGE_BYTES = 14

/**
 * The database under construction, fed with files from the newest to the oldest. A page counts if
 * no newer file has it, and if every newer file's database still reached that far.
 */
export class DatabaseImage {
  readonly #plan: RestorePlan
  readonly #handle: FileHandle
  #newest: LtxHeader | undefined
  #pages: PageSet | undefined
  #writer: PageWriter | undefined
  #lockPage = 0
  /** Smallest database of the files read before the current one: no older page behind it is alive. */
  #limit = 0
  /** Of all ranges that were added. */
  #checksum = EMPTY_DATABASE_CHECKSUM
  /** According to the newest file, if it carries one. */
  #wantedChecksum: bigint | undefined

  constructor(plan: RestorePlan, handle: FileHandle) {
    this.#plan = plan
    this.#handle = handle
  }

  /** Are all pages there? Then older files have nothing to add. */
  get complete(): boolean {
    return this.#pages !== undefined && this.#pages.size === this.#wanted()
  }

  /** Begins the next file. @throws RestoreError `DamagedObject`, `PageSizeMismatch` */
  beginFile(file: LtxFileInfo, header: LtxHeader): void {
    if (this.#newest === undefined) this.#beginImage(file, header)
    else if (header.pageSize !== this.#newest.pageSize) throw this.#otherPageSize(file, header)
  }

  /** Is this page of the current file needed? From then on, it counts as written. */
  needs(pgno: number): boolean {
    return pgno <= this.#limit && this.#pages!.add(pgno)
  }

  /** Ends the current file. @param checksums that it carries */
  endFile(header: LtxHeader, checksums: DatabaseChecksums | undefined): void {
    if (header === this.#newest) this.#wantedChecksum = checksums?.after
    this.#limit = Math.min(this.#limit, header.commit)
  }

  /**
   * Writes a needed page. Returns a promise only if a running write must be waited for before the next
   * page. Throws the error of an earlier write.
   */
  write(pgno: number, data: Uint8Array): Promise<void> | undefined {
    return this.#writer!.write(pgno, data)
  }

  /** Counts pages that another thread has written. @param needed as in `FrameRange` */
  wroteElsewhere(needed: Uint8Array): void {
    const pages = needed.reduce((sum, isNeeded) => sum + isNeeded, 0)
    this.#writer!.wroteElsewhere(pages * this.#newest!.pageSize)
  }

  /** Adds the hash of all needed pages of a range. */
  addHash(hash: bigint): void {
    this.#checksum = toggleChecksum(this.#checksum, hash)
  }

  /**
   * Compares the whole database with its checksum and sets the size of the file; the newest file's
   * header describes the result.
   */
  async finish(): Promise<LtxHeader> {
    if (!this.complete) throw this.#missingPage(this.#pages!.firstMissing(this.#lockPage)!)
    if (this.#wantedChecksum !== undefined && this.#wantedChecksum !== this.#checksum) {
      throw this.#mixed(this.#wantedChecksum)
    }
    await this.#writer!.drain()
    await this.#handle.truncate(this.#newest!.commit * this.#newest!.pageSize)
    return this.#newest!
  }

  /** Waits for running writes, so that the file can also be closed after a failure. */
  async settle(): Promise<void> {
    await this.#writer?.settle()
  }

  #beginImage(file: LtxFileInfo, header: LtxHeader): void {
    // A fabricated size must not lead to a huge allocation: the pages have to come from somewhere.
    if (header.commit > this.#plan.bytes / MIN_PAGE_BYTES + 1) throw this.#tooFewBytes(file, header)
    this.#newest = header
    this.#limit = header.commit
    this.#lockPage = lockPage(header.pageSize)
    this.#pages = new PageSet(header.commit)
    this.#writer = new PageWriter(this.#handle, header.pageSize)
  }

  #wanted(): number {
    const { commit } = this.#newest!
    return this.#lockPage <= commit ? commit - 1 : commit
  }

  #range(): string {
    const { files, txid } = this.#plan
    return `the files from TXID ${formatTxid(files[0]!.minTxid)} to ${formatTxid(txid)}`
  }

  /** Each file is intact by itself: one in between is missing, or belongs to another history. */
  #mixed(wanted: bigint): RestoreError {
    const { txid } = this.#plan
    const message = `${capital(this.#range())} do not make the database of TXID ${formatTxid(txid)}: its checksum is ${wanted.toString(16)}, theirs ${this.#checksum.toString(16)}.`
    return new RestoreError('ChecksumMismatch', message, { hint: MIXTURE })
  }

  #missingPage(pgno: number): RestoreError {
    const message = `Page ${pgno} of ${this.#newest!.commit} is in none of ${this.#range()}.`
    return new RestoreError('MissingPage', message, { hint: OLDER_STATE })
  }

  /**
   * Reported as damage rather than a missing page, because other files may make up the same state.
   */
  #tooFewBytes({ key }: LtxFileInfo, header: LtxHeader): RestoreError {
    const message = `The object ${key} says that the database has ${header.commit} pages, more than ${this.#range()} with their ${this.#plan.bytes} bytes can hold.`
    return new RestoreError('DamagedObject', message, { key, hint: OLDER_STATE })
  }

  #otherPageSize(file: LtxFileInfo, header: LtxHeader): RestoreError {
    const message = `The object ${file.key} has pages of ${header.pageSize} bytes, newer ones of ${this.#newest!.pageSize}.`
    return new RestoreError('PageSizeMismatch', message, { key: file.key, hint: OLDER_STATE })
  }
}

const OLDER_STATE =
  'The replica was not written correctly there: restore an older state with --txid or --point-in-time.'

const MIXTURE =
  'Files of another history are among them, or some were replaced: run "walsync verify", and restore an older state with --txid or --point-in-time.'

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/**
 * Which pages of a database have been written: one bit per page, so 32 MiB for 1 TiB of 4 KiB
 * pages.
 */
class PageSet {
  readonly #bits: Uint8Array
  readonly #pages: number
  #size = 0

  /** @param pages highest page number that may be added */
  constructor(pages: number) {
    this.#pages = pages
    this.#bits = new Uint8Array(Math.floor(pages / 8) + 1)
  }

  /** Number of pages in the set. */
  get size(): number {
    return this.#size
  }

  /** Adds a page; `false` if it was already in the set. Page numbers start at 1. */
  add(pgno: number): boolean {
    const index = pgno >>> 3
    const bit = 1 << (pgno & 7)
    const byte = this.#bits[index]
    if (byte === undefined) throw new RangeError(`Page ${pgno} is beyond ${this.#pages}.`)
    if ((byte & bit) !== 0) return false
    this.#bits[index] = byte | bit
    this.#size++
    return true
  }

  /** Lowest missing page, except `except`; `undefined` if none is missing. */
  firstMissing(except: number): number | undefined {
    for (let pgno = 1; pgno <= this.#pages; pgno++) {
      const has = ((this.#bits[pgno >>> 3] as number) & (1 << (pgno & 7))) !== 0
      if (!has && pgno !== except) return pgno
    }
    return undefined
  }
}
