import { DatabaseSync } from 'node:sqlite'
import { StoreError } from 'walsync/store'

const CHUNK_BYTES = 256 * 1024
const PAGE_KEYS = 500
const BUSY_MS = 10_000
/** An upload that is this old belongs to a process that is gone. */
const STALE_MS = 24 * 3_600_000

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS upload (id INTEGER PRIMARY KEY AUTOINCREMENT, started INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS object (
    key TEXT PRIMARY KEY, id INTEGER NOT NULL UNIQUE, size INTEGER NOT NULL,
    modified INTEGER NOT NULL, created INTEGER
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS chunk (
    id INTEGER NOT NULL, n INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, n)
  ) WITHOUT ROWID;`

/** The SQLite file, opened at first use: a provider's `open` must do no I/O. */
export class ObjectFile {
  #path
  #db
  #statements = new Map()

  constructor(path) {
    this.#path = path
  }

  open() {
    if (this.#db !== undefined) return
    const db = new DatabaseSync(this.#path, { timeout: BUSY_MS })
    try {
      // FULL: an acknowledged put survives a power cut, https://sqlite.org/pragma.html#pragma_synchronous
      whileBusy(() => db.exec('PRAGMA journal_mode = wal'))
      db.exec(`PRAGMA synchronous = FULL; ${SCHEMA}`)
    } catch (error) {
      db.close()
      throw error
    }
    this.#db = db
    this.#transaction(() => {
      for (const { id } of this.#all(
        'SELECT id FROM upload WHERE started < ?',
        Date.now() - STALE_MS,
      )) {
        this.#dropBytes(id)
      }
    })
  }

  close() {
    this.#statements.clear()
    this.#db?.close()
    this.#db = undefined
  }

  find(key) {
    const [row] = this.#all('SELECT * FROM object WHERE key = ?', key)
    return row && infoOf(row)
  }

  /** Keys are ASCII, so that SQLite's BINARY order is the order of their bytes. */
  page(prefix, after) {
    const sql = 'SELECT * FROM object WHERE key > ? AND key >= ? ORDER BY key LIMIT ?'
    return this.#all(sql, after, prefix, PAGE_KEYS).map(infoOf)
  }

  /** The bytes of one version; an error, never a mixture, if it was replaced meanwhile. */
  *chunks({ key, version }, { start, end }) {
    for (let at = start; at < end; ) {
      const n = Math.floor(at / CHUNK_BYTES)
      const [row] = this.#all('SELECT bytes FROM chunk WHERE id = ? AND n = ?', Number(version), n)
      if (row === undefined) {
        throw new StoreError('Unavailable', `${key} was replaced while it was read.`, {
          op: 'get',
          key,
        })
      }
      const from = at - n * CHUNK_BYTES
      const part = row.bytes.slice(from, Math.min(end - n * CHUNK_BYTES, row.bytes.byteLength))
      yield part
      at += part.byteLength
    }
  }

  startUpload() {
    const id = this.#write('INSERT INTO upload (started) VALUES (?)', Date.now()).lastInsertRowid
    const pending = new Uint8Array(CHUNK_BYTES)
    let filled = 0
    let size = 0
    let n = 0
    const flush = () => {
      const sql = 'INSERT INTO chunk (id, n, bytes) VALUES (?, ?, ?)'
      this.#write(sql, id, n++, pending.subarray(0, filled))
      filled = 0
    }
    return {
      add(chunk) {
        size += chunk.byteLength
        for (let at = 0; at < chunk.byteLength; ) {
          const part = chunk.subarray(at, at + CHUNK_BYTES - filled)
          pending.set(part, filled)
          filled += part.byteLength
          at += part.byteLength
          if (filled === CHUNK_BYTES) flush()
        }
      },
      commit: (key, options) =>
        this.#transaction(() => {
          const old = this.find(key)
          assertCondition('put', key, old, options)
          if (filled > 0) flush()
          if (old !== undefined) this.#dropBytes(Number(old.version))
          const created = options.createdAt?.getTime() ?? null
          const sql =
            'REPLACE INTO object (key, id, size, modified, created) VALUES (?, ?, ?, ?, ?)'
          this.#write(sql, key, id, size, Date.now(), created)
          this.#write('DELETE FROM upload WHERE id = ?', id)
          return { size, version: String(id) }
        }),
      discard: () => {
        if (this.#db !== undefined) this.#transaction(() => this.#dropBytes(id))
      },
    }
  }

  remove(key, ifMatch) {
    this.#transaction(() => {
      const old = this.find(key)
      assertCondition('delete', key, old, { ifMatch })
      if (old === undefined) return
      this.#write('DELETE FROM object WHERE key = ?', key)
      this.#dropBytes(Number(old.version))
    })
  }

  #dropBytes(id) {
    this.#write('DELETE FROM chunk WHERE id = ?', id)
    this.#write('DELETE FROM upload WHERE id = ?', id)
  }

  // #region transaction
  /** IMMEDIATE takes the write lock before the condition is looked at: among all processes one wins. */
  #transaction(work) {
    this.open()
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }
  // #endregion

  #all(sql, ...values) {
    return this.#prepare(sql).all(...values)
  }

  #write(sql, ...values) {
    return this.#prepare(sql).run(...values)
  }

  #prepare(sql) {
    this.open()
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

function infoOf({ key, id, size, modified, created }) {
  const info = { key, size, lastModified: new Date(modified), version: String(id) }
  return created === null ? info : { ...info, createdAt: new Date(created) }
}

// #region condition
function assertCondition(op, key, old, { ifAbsent, ifMatch }) {
  if (ifAbsent === true && old !== undefined) {
    throw new StoreError('AlreadyExists', `The object ${key} exists already.`, { op, key })
  }
  if (ifMatch !== undefined && ifMatch !== old?.version) {
    throw new StoreError('PreconditionFailed', `${key} is another version.`, { op, key })
  }
}
// #endregion

/** SQLite's busy timeout does not cover the change to WAL mode when several processes open a new file at once. */
function whileBusy(attempt) {
  const deadline = Date.now() + BUSY_MS
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    try {
      return attempt()
    } catch (error) {
      if ((error.errcode & 0xff) !== 5 || Date.now() > deadline) throw error
      Atomics.wait(pause, 0, 0, 5)
    }
  }
}
