import { DatabaseSync } from 'node:sqlite'

/** A database in WAL mode with `rows` rows; the connection stays open, as an application's does. */
export function sampleDatabase(path: string, rows: number): DatabaseSync {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)')
  addRows(db, rows)
  return db
}

/** One transaction. */
export function addRows(db: DatabaseSync, rows: number): void {
  db.exec('BEGIN')
  const insert = db.prepare('INSERT INTO t (text) VALUES (hex(randomblob(50)))')
  for (let i = 0; i < rows; i++) insert.run()
  db.exec('COMMIT')
}

/** All rows, read by a connection of its own. */
export function rowsOf(path: string): unknown[] {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return db.prepare('SELECT * FROM t ORDER BY id').all()
  } finally {
    db.close()
  }
}
