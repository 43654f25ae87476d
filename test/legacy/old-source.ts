import { createHash } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

/** An application's database, and every state that it ever had. */
export class OldSource {
  /** Digest of the rows after each commit, oldest first. */
  readonly states: string[] = []
  readonly path: string
  #db: DatabaseSync
  #open = false
  #inserts = 0

  /** @param rows committed before the WAL is emptied and anyone watches */
  constructor(path: string, rows: number) {
    this.path = path
    this.#db = this.#connect()
    this.#db.exec(
      'PRAGMA page_size = 512; PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y BLOB); CREATE INDEX i ON t (x)',
    )
    for (let i = 0; i < rows; i++) this.#insert(37 * i)
    if (rows > 0) this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    this.#note()
  }

  /** One commit; `kind` from 0 to 1 chooses among inserts, updates and deletes. */
  commit(kind: number, seed: number): void {
    if (this.#open) return
    if (kind < 0.4) this.#insert(seed)
    else if (kind < 0.8)
      this.#db.exec(
        `UPDATE t SET y = zeroblob(${seed % 300}), x = x || 'u' WHERE id % 7 = ${seed % 7}`,
      )
    else if (kind < 0.9) this.#db.exec(`DELETE FROM t WHERE id % 5 = ${seed % 5}`)
    else {
      this.#db.exec('BEGIN')
      for (let i = 0; i < 5; i++) this.#insert(399)
      this.#db.exec('COMMIT')
    }
    this.#note()
  }

  /** Begins a transaction that spills uncommitted frames into the WAL. */
  begin(): void {
    if (this.#open) return
    this.#db.exec('PRAGMA cache_size = 5; BEGIN')
    for (let i = 0; i < 20; i++) this.#insert(1000 + i)
    this.#open = true
  }

  /** The same with one large value, of which every page is written once. */
  beginLarge(): void {
    if (this.#open) return
    this.#db.exec('PRAGMA cache_size = 5; BEGIN; INSERT INTO t (y) VALUES (zeroblob(60000))')
    this.#open = true
  }

  /** The same with a change to every row, of which every page is written once. */
  beginUpdate(): void {
    if (this.#open) return
    this.#db.exec(
      "PRAGMA cache_size = 5; BEGIN; UPDATE t SET y = CAST(x'01' || substr(y, 2) AS BLOB)",
    )
    this.#open = true
  }

  end(commit: boolean): void {
    if (!this.#open) return
    this.#db.exec(commit ? 'COMMIT' : 'ROLLBACK')
    this.#open = false
    if (commit) this.#note()
  }

  checkpoint(mode: 'PASSIVE' | 'RESTART' | 'TRUNCATE'): void {
    if (!this.#open) this.#db.exec(`PRAGMA wal_checkpoint(${mode})`)
  }

  /** Opens a reader, which from now on keeps the log from being restarted; returns how to end it. */
  hold(): () => void {
    const reader = this.#connect()
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM t').get()
    return () => reader.close()
  }

  vacuum(): void {
    if (!this.#open) this.#db.exec('VACUUM')
  }

  /** The last close deletes the WAL. */
  reopen(): void {
    if (this.#open) return
    this.#db.close()
    this.#db = this.#connect()
  }

  close(): void {
    this.end(false)
    this.#db.close()
  }

  #connect(): DatabaseSync {
    const db = new DatabaseSync(this.path)
    db.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF')
    return db
  }

  /** No randomness of SQLite's own: what fails once has to fail again. */
  #insert(seed: number): void {
    const x = createHash('md5')
      .update(`${this.#inserts++}`)
      .digest('hex')
      .slice(0, 20)
    this.#db.prepare('INSERT INTO t (x, y) VALUES (?, zeroblob(?))').run(x, seed % 400)
  }

  #note(): void {
    this.states.push(digestOf(this.#db))
  }
}

/** Digest of the rows in a restored database; `undefined` if SQLite cannot read them or finds damage. */
export function digestAt(path: string): string | undefined {
  const url = pathToFileURL(path)
  url.searchParams.set('immutable', '1')
  using db = new DatabaseSync(url, { readOnly: true })
  try {
    const [result] = db.prepare('PRAGMA integrity_check').all()
    return result?.integrity_check === 'ok' ? digestOf(db) : undefined
  } catch {
    return undefined
  }
}

function digestOf(db: DatabaseSync): string {
  const rows = db.prepare('SELECT id, x, hex(y) FROM t ORDER BY id').all()
  return createHash('sha256').update(JSON.stringify(rows)).digest('hex')
}
