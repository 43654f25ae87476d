import { closeSync, openSync, readSync } from 'node:fs'
import { WAL_FRAME_HEADER_SIZE, WAL_HEADER_SIZE, walFrameOffset } from '../wal/index.ts'
import type { WalFile } from './wal-file.ts'

/** The WAL index begins with two copies of a header of this size (SQLite, "WAL-mode file format", section 2.1). */
const HEADER_SIZE = 48
const VERSION = 3007000

interface IndexHeader {
  readonly published: number
  /** As in the log. */
  readonly salts: Buffer
  /** Of the last published frame. */
  readonly checksums: readonly [number, number]
}

/**
 * The `-shm` file, read independently of SQLite to find out which log the index belongs to. SQLite
 * itself compares the two only when the first connection opens the database. If a log is
 * overwritten in place later, SQLite keeps using it with an index that describes other frames.
 *
 * The descriptor stays open until the connections are closed: closing any descriptor would drop
 * their locks.
 */
export class WalIndexFile {
  readonly #wal: WalFile
  readonly #pageSize: number
  #fd: number | undefined

  constructor(databasePath: string, wal: WalFile, pageSize: number) {
    this.#wal = wal
    this.#pageSize = pageSize
    try {
      this.#fd = openSync(`${databasePath}-shm`, 'r')
    } catch {
      // Removed already, which is noticed by its missing name.
    }
  }

  /**
   * Does the log hold the last frame that the index describes? Also true if nothing is published,
   * or if the index is changing right now.
   */
  isOfLog(): boolean {
    const before = this.#readHeader()
    if (before === undefined || before.published === 0) return true
    if (this.#standsInLog(before)) return true
    // A published frame stays where it is until the log is restarted, which changes the salts.
    const after = this.#readHeader()
    return after === undefined || after.published === 0 || !after.salts.equals(before.salts)
  }

  /** Only after every SQLite connection to the database has been closed. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  /** `undefined` while a writer is changing it, when the two copies differ. */
  #readHeader(): IndexHeader | undefined {
    const bytes = Buffer.alloc(2 * HEADER_SIZE)
    if (this.#fd === undefined) return undefined
    if (readSync(this.#fd, bytes, 0, bytes.length, 0) < bytes.length) return undefined
    if (!bytes.subarray(0, HEADER_SIZE).equals(bytes.subarray(HEADER_SIZE))) return undefined
    const isLittle = bytes.readUInt32LE(0) === VERSION
    if (!isLittle && bytes.readUInt32BE(0) !== VERSION) return undefined
    const number = (offset: number) =>
      isLittle ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset)
    const salts = bytes.subarray(32, 40)
    return { published: number(16), checksums: [number(24), number(28)], salts }
  }

  #standsInLog({ published, salts, checksums }: IndexHeader): boolean {
    const header = Buffer.alloc(WAL_HEADER_SIZE)
    if (this.#wal.read(header, 0) < header.length) return false
    const frame = Buffer.alloc(WAL_FRAME_HEADER_SIZE)
    const offset = walFrameOffset(published - 1, this.#pageSize)
    if (this.#wal.read(frame, offset) < frame.length) return false
    return (
      header.subarray(16, 24).equals(salts) &&
      frame.subarray(8, 16).equals(salts) &&
      frame.readUInt32BE(16) === checksums[0] &&
      frame.readUInt32BE(20) === checksums[1]
    )
  }
}
