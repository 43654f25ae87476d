import type { DatabaseSync } from 'node:sqlite'

const CELLS = 60

/** What a database of numbered commits holds. */
export interface Numbered {
  /** What each commit wrote, in order: the history. */
  readonly commits: readonly string[]
  /** What is wrong in itself: a commit that is there in part, or pages of two times. */
  readonly problems: readonly string[]
}

export function createNumbered(db: DatabaseSync): void {
  db.exec(`PRAGMA journal_mode = WAL;
    CREATE TABLE log (id INTEGER PRIMARY KEY, tag TEXT NOT NULL, pad BLOB);
    CREATE TABLE cells (i INTEGER PRIMARY KEY, id INTEGER NOT NULL, pad BLOB);
    WITH RECURSIVE n (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ${CELLS - 1})
    INSERT INTO cells SELECT i, 0, randomblob(1000) FROM n`)
}

/** One commit: a new row at the end, and its number in one of many old pages. */
export function commitNumbered(db: DatabaseSync, tag: string): void {
  db.exec('BEGIN IMMEDIATE')
  const { lastInsertRowid } = db
    .prepare('INSERT INTO log (tag, pad) VALUES (?, randomblob(100))')
    .run(tag)
  const id = Number(lastInsertRowid)
  db.prepare('UPDATE cells SET id = ? WHERE i = ?').run(id, id % CELLS)
  db.exec('COMMIT')
}

/** Reads such a database, and whether every commit is in it as a whole. */
export function readNumbered(db: DatabaseSync): Numbered {
  const problems: string[] = []
  const { integrity_check } = db.prepare('PRAGMA integrity_check').get() as Record<string, string>
  if (integrity_check !== 'ok') problems.push(`integrity_check: ${integrity_check}`)
  const rows = db.prepare('SELECT id, tag, hex(pad) AS pad FROM log ORDER BY id').all() as {
    id: number
    tag: string
    pad: string
  }[]
  const gap = rows.findIndex(({ id }, i) => id !== i + 1)
  if (gap !== -1) problems.push(`commit ${gap + 1} is missing`)
  const last = rows.length
  for (const { i, id } of db.prepare('SELECT i, id FROM cells ORDER BY i').all() as {
    i: number
    id: number
  }[]) {
    const newest = last - ((((last - i) % CELLS) + CELLS) % CELLS)
    if (id !== Math.max(0, newest)) problems.push(`cell ${i} has commit ${id} of ${last}`)
  }
  return { commits: rows.map(({ tag, pad }) => `${tag} ${pad}`), problems: problems.slice(0, 5) }
}

/** Is `part` the beginning of `whole`? */
export function isBeginning({ commits: part }: Numbered, { commits: whole }: Numbered): boolean {
  return part.length <= whole.length && part.every((commit, i) => commit === whole[i])
}
