import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { encodeLtx, FLAG_NO_CHECKSUM, lockPage, txid } from '../../src/core/ltx/index.ts'

const PAGE_SIZE = 4096
const WAL_HEADER = 32
const FRAME_HEADER = 24
/** Commits between two checkpoints: each also proves that the image is what SQLite has on the disk. */
const CHECKPOINT_EVERY = 500

/**
 * A real database in WAL mode that is written by one connection, and the LTX file of each commit.
 * Beside it a plain image of the database, kept up page by page from the WAL's frames and compared
 * with SQLite's own file at each checkpoint: what a restore must give, byte for byte.
 */
export class CommitStream implements Disposable {
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #trim: StatementSync
  readonly #rows: number
  #wal: number | undefined
  #walAt = WAL_HEADER
  #image: Buffer
  #commits = 0
  #sinceCheckpoint = 0

  /** @param rows the database grows to so many rows of about 300 bytes, and then stays */
  constructor(folder: string, rows: number) {
    this.#path = join(folder, 'stream.db')
    this.#rows = rows
    this.#db = new DatabaseSync(this.#path)
    this.#db.exec(`
      PRAGMA page_size = ${PAGE_SIZE}; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
      PRAGMA wal_autocheckpoint = 0;
      CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL);
      CREATE INDEX item_name ON item (name)`)
    this.#insert = this.#db.prepare('INSERT INTO item VALUES (?, ?, ?)')
    this.#update = this.#db.prepare('UPDATE item SET text = ? WHERE id = ?')
    this.#trim = this.#db.prepare('DELETE FROM item WHERE id <= ?')
    this.#checkpoint()
    this.#image = readFileSync(this.#path)
  }

  /** SHA-256 of the database file, if it were checkpointed now. */
  get sha256(): string {
    return createHash('sha256').update(this.#image).digest('hex')
  }

  /** The whole database, as the file of TXIDs 1 to the last one. */
  full(time: number): Uint8Array {
    const pgnos = Array.from({ length: this.#image.length / PAGE_SIZE }, (_, i) => i + 1)
    return this.#encode(1, Math.max(1, this.#commits), pgnos, time)
  }

  /** Commits one transaction. Returns its file, of the next TXID. The first commit is TXID 2, behind the base. */
  commit(time: number): Uint8Array {
    if (this.#commits === 0) this.#commits = 1
    const id = ++this.#commits
    this.#db.exec('BEGIN')
    const word = (id * 2_654_435_761).toString(36)
    this.#insert.run(id, `item ${word}`, `${word} `.repeat(30))
    this.#update.run(`${word}/`.repeat(28), 2 + ((id * 7919) % this.#rows))
    this.#trim.run(id - this.#rows)
    this.#db.exec('COMMIT')
    const changed = this.#readFrames()
    const bytes = this.#encode(id, id, changed, time)
    if (++this.#sinceCheckpoint === CHECKPOINT_EVERY) this.#proveImage()
    return bytes
  }

  [Symbol.dispose](): void {
    if (this.#wal !== undefined) closeSync(this.#wal)
    this.#db.close()
  }

  /** Takes the new frames into the image. Returns the pages that they changed, ascending. */
  #readFrames(): number[] {
    this.#wal ??= openSync(`${this.#path}-wal`, 'r')
    const changed = new Set<number>()
    const frame = Buffer.alloc(FRAME_HEADER + PAGE_SIZE)
    let pages = 0
    while (readSync(this.#wal, frame, 0, frame.length, this.#walAt) === frame.length) {
      this.#walAt += frame.length
      const pgno = frame.readUInt32BE(0)
      pages = frame.readUInt32BE(4) || pages
      this.#grow(pgno * PAGE_SIZE)
      frame.copy(this.#image, (pgno - 1) * PAGE_SIZE, FRAME_HEADER)
      changed.add(pgno)
    }
    this.#image = this.#image.subarray(0, pages * PAGE_SIZE)
    return [...changed].filter((pgno) => pgno <= pages).sort((a, b) => a - b)
  }

  #grow(bytes: number): void {
    if (bytes > this.#image.length) {
      this.#image = Buffer.concat([this.#image, Buffer.alloc(bytes - this.#image.length)])
    }
  }

  #encode(min: number, max: number, pgnos: readonly number[], time: number): Uint8Array {
    const header = {
      flags: FLAG_NO_CHECKSUM,
      pageSize: PAGE_SIZE,
      commit: this.#image.length / PAGE_SIZE,
      minTxid: txid(min),
      maxTxid: txid(max),
      timestamp: time,
      preApplyChecksum: 0n,
      walOffset: 0,
      walSize: 0,
      walSalt1: 0,
      walSalt2: 0,
      nodeId: 0n,
    }
    const pages = pgnos
      .filter((pgno) => pgno !== lockPage(PAGE_SIZE))
      .map((pgno) => ({
        pgno,
        data: this.#image.subarray((pgno - 1) * PAGE_SIZE, pgno * PAGE_SIZE),
      }))
    return encodeLtx(header, pages)
  }

  #proveImage(): void {
    this.#checkpoint()
    this.#sinceCheckpoint = 0
    if (!readFileSync(this.#path).equals(this.#image)) {
      throw new Error(`The image is not the database at TXID ${this.#commits}.`)
    }
  }

  #checkpoint(): void {
    const result = this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number }
    if (result.busy !== 0) throw new Error('The checkpoint was not complete.')
    this.#walAt = WAL_HEADER
  }
}
