import { DatabaseSync } from 'node:sqlite'

/** Text and noise, about as compressible as a real table. */
const TEXT = words(2_000_000)
const ROW_BYTES = 3900

/** A database in WAL mode of about this size, with a table `filler (id, a)` of one row a page. */
export function makeFilled(path: string, megabytes: number): void {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 20000')
  db.exec('CREATE TABLE filler (id INTEGER PRIMARY KEY, a TEXT); CREATE TABLE start (x)')
  const insert = db.prepare('INSERT INTO filler (a) VALUES (?)')
  const rows = Math.round((megabytes * 1e6) / 4096)
  for (let i = 0; i < rows; ) {
    db.exec('BEGIN')
    for (const end = Math.min(rows, i + 10_000); i < end; i++) insert.run(someText())
    db.exec('COMMIT')
  }
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  db.close()
}

/** Changes rows all over the table, in one transaction. */
export function changeSome(db: DatabaseSync, rows: number): void {
  const last = Number(db.prepare('SELECT max(id) last FROM filler').get()?.last)
  const update = db.prepare('UPDATE filler SET a = ? WHERE id = ?')
  db.exec('BEGIN')
  for (let i = 0; i < rows; i++) update.run(someText(), 1 + Math.floor(Math.random() * last))
  db.exec('COMMIT')
}

function someText(): string {
  const at = Math.floor(Math.random() * (TEXT.length - ROW_BYTES))
  return TEXT.slice(at, at + ROW_BYTES)
}

function words(length: number): string {
  const parts: string[] = []
  for (let size = 0; size < length; size += parts.at(-1)!.length) {
    parts.push(`${Math.random().toString(36).slice(2, 8)} the quick `)
  }
  return parts.join('')
}
