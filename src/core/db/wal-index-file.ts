import { closeSync, openSync, readSync } from 'node:fs'
import {
  extendWalChecksum,
  WAL_FORMAT_VERSION,
  WAL_FRAME_HEADER_SIZE,
  WAL_HEADER_SIZE,
  walFrameOffset,
} from '../wal/index.ts'
import type { WalFile } from './wal-file.ts'

/** State of the WAL index. Both counts are frames of the current run. */
export interface WalIndexState {
  /** Frames committed and visible to other connections (mxFrame). */
  readonly published: number
  /** Frames copied into the database file (nBackfill). */
  readonly backfilled: number
}

/** By these numbers a later state is told from an earlier one. */
export interface WalIndexLook extends WalIndexState {
  /** Counts transactions. */
  readonly change: number
  /** Of the log that it describes. */
  readonly salt1: number
  readonly salt2: number
  /** Of the whole header, the checksum of the last frame included. */
  readonly checksum1: number
  readonly checksum2: number
}

/** The WAL index begins with two copies of a header of this size (SQLite, "WAL-mode file format", section 2.1). */
const HEADER_SIZE = 48
/** Where the header's own checksum stands in it: of everything before. */
const CHECKSUM_AT = 40
/** Where nBackfill stands, behind the two copies. */
const BACKFILLED_AT = 2 * HEADER_SIZE
const PREFIX_SIZE = BACKFILLED_AT + 4
/** Where nBackfillAttempted stands, behind the read marks and the lock bytes. */
const COPYING_AT = BACKFILLED_AT + 32

// Every read below ends before the next begins, and thousands of databases are polled every second.
const prefix = Buffer.alloc(PREFIX_SIZE)
const attempted = Buffer.alloc(4)
const walHeader = Buffer.alloc(WAL_HEADER_SIZE)
const frameHeader = Buffer.alloc(WAL_FRAME_HEADER_SIZE)

/**
 * The `-shm` file, read independently of SQLite: to follow what is published without the cost of a
 * statement, and to find out which log the index belongs to. SQLite itself compares the two only
 * when the first connection opens the database. If a log is overwritten in place later, SQLite keeps
 * using it with an index that describes other frames.
 *
 * The descriptor stays open until the connections are closed: closing any descriptor would drop
 * their locks. What is read is what the connections have mapped, since both are the page cache.
 */
export class WalIndexFile {
  #fd: number | undefined

  constructor(databasePath: string) {
    try {
      this.#fd = openSync(`${databasePath}-shm`, 'r')
    } catch {
      // Removed already, which is noticed by its missing name.
    }
  }

  /**
   * What is published, as SQLite would read it (`walIndexTryHdr` in wal.c). `undefined` while a
   * writer is changing the header, or if it needs recovery: then SQLite itself must be asked.
   */
  state(): WalIndexState | undefined {
    return this.#readPrefix() ? stateInPrefix() : undefined
  }

  /** The same, with what is needed to recognize it later (`isStill`). */
  look(): WalIndexLook | undefined {
    const state = this.state()
    return state && { ...state, ...identityInPrefix() }
  }

  /** Has nothing been committed, copied or restarted since that look? */
  isStill(look: WalIndexLook): boolean {
    if (!this.#readPrefix()) return false
    const isLittle = isLittleEndian()
    return (
      number(8, isLittle) === look.change &&
      number(16, isLittle) === look.published &&
      number(32, isLittle) === look.salt1 &&
      number(36, isLittle) === look.salt2 &&
      number(CHECKSUM_AT, isLittle) === look.checksum1 &&
      number(CHECKSUM_AT + 4, isLittle) === look.checksum2 &&
      number(BACKFILLED_AT, isLittle) === look.backfilled
    )
  }

  /**
   * How many frames the last checkpoint that began to copy wanted to copy (nBackfillAttempted): it
   * holds the checkpoint lock by then.
   */
  copying(): number {
    if (this.#fd === undefined) return 0
    return readSync(this.#fd, attempted, 0, 4, COPYING_AT) < 4 || !this.#readPrefix()
      ? 0
      : isLittleEndian()
        ? attempted.readUInt32LE(0)
        : attempted.readUInt32BE(0)
  }

  /**
   * Does the log hold the last frame that the index describes? Also true if nothing is published,
   * or if the index is changing right now.
   *
   * @param pageSize in bytes
   */
  isOfLog(wal: WalFile, pageSize: number): boolean {
    if (!this.#readPrefix()) return true
    const isLittle = isLittleEndian()
    const published = number(16, isLittle)
    if (published === 0) return true
    if (isInLog(wal, pageSize, published, isLittle)) return true
    const salts = Buffer.from(prefix.subarray(32, 40))
    // A published frame stays where it is until the log is restarted, which changes the salts.
    if (!this.#readPrefix() || number(16, isLittle) === 0) return true
    return !prefix.subarray(32, 40).equals(salts)
  }

  /** Only after every SQLite connection to the database has been closed. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  /** Reads the header into `prefix`. False while a writer is changing it, when the two copies differ. */
  #readPrefix(): boolean {
    if (this.#fd === undefined) return false
    if (readSync(this.#fd, prefix, 0, PREFIX_SIZE, 0) < PREFIX_SIZE) return false
    if (prefix.compare(prefix, HEADER_SIZE, 2 * HEADER_SIZE, 0, HEADER_SIZE) !== 0) return false
    return isLittleEndian() || prefix.readUInt32BE(0) === WAL_FORMAT_VERSION
  }
}

/** `undefined` if the header in `prefix` needs recovery. */
function stateInPrefix(): WalIndexState | undefined {
  if (prefix[12] === 0) return undefined
  const sum = { s1: 0, s2: 0 }
  const isLittle = isLittleEndian()
  extendWalChecksum(sum, prefix, 0, CHECKSUM_AT, !isLittle)
  if (sum.s1 !== number(CHECKSUM_AT, isLittle)) return undefined
  if (sum.s2 !== number(CHECKSUM_AT + 4, isLittle)) return undefined
  return { published: number(16, isLittle), backfilled: number(BACKFILLED_AT, isLittle) }
}

function identityInPrefix() {
  const isLittle = isLittleEndian()
  return {
    change: number(8, isLittle),
    salt1: number(32, isLittle),
    salt2: number(36, isLittle),
    checksum1: number(CHECKSUM_AT, isLittle),
    checksum2: number(CHECKSUM_AT + 4, isLittle),
  }
}

/** The index is in the byte order of the machine. */
function isLittleEndian(): boolean {
  return prefix.readUInt32LE(0) === WAL_FORMAT_VERSION
}

function number(offset: number, isLittle: boolean): number {
  return isLittle ? prefix.readUInt32LE(offset) : prefix.readUInt32BE(offset)
}

/** Is the last published frame, of which `prefix` has the salts and the checksum, at its place in the log? */
function isInLog(wal: WalFile, pageSize: number, published: number, isLittle: boolean): boolean {
  if (wal.read(walHeader, 0) < WAL_HEADER_SIZE) return false
  const offset = walFrameOffset(published - 1, pageSize)
  if (wal.read(frameHeader, offset) < WAL_FRAME_HEADER_SIZE) return false
  return (
    prefix.compare(walHeader, 16, 24, 32, 40) === 0 &&
    prefix.compare(frameHeader, 8, 16, 32, 40) === 0 &&
    frameHeader.readUInt32BE(16) === number(24, isLittle) &&
    frameHeader.readUInt32BE(20) === number(28, isLittle)
  )
}
