import { DatabaseSync } from 'node:sqlite'
import { isDeepStrictEqual } from 'node:util'

/** How much was compared. */
export interface Comparison {
  readonly tables: number
  readonly rows: number
}

/**
 * Compares two databases by schema and by every column of every row, in rowid order.
 *
 * @throws Error at the first difference, and if there is nothing to compare
 */
export function compareDatabases(left: string, right: string): Comparison {
  const a = new DatabaseSync(left, { readOnly: true })
  const b = new DatabaseSync(right, { readOnly: true })
  try {
    const schema = 'SELECT type, name, sql FROM sqlite_schema ORDER BY type, name'
    assertEqual(a.prepare(schema).all(), b.prepare(schema).all(), 'the schemas')
    const tables = a.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    let rows = 0
    for (const { name } of tables) rows += compareTable(a, b, String(name))
    if (rows === 0) throw new Error('There are no rows to compare.')
    return { tables: tables.length, rows }
  } finally {
    a.close()
    b.close()
  }
}

function compareTable(a: DatabaseSync, b: DatabaseSync, table: string): number {
  const quoted = `"${table.replaceAll('"', '""')}"`
  const [left, right] = [a, b].map((db) =>
    db.prepare(`SELECT rowid AS "rowid", * FROM ${quoted} ORDER BY rowid`).all(),
  )
  assertEqual(left?.length, right?.length, `the number of rows of ${table}`)
  for (const [i, row] of (left ?? []).entries()) {
    assertEqual(row, right?.[i], `row ${i + 1} of ${table}`)
  }
  return left?.length ?? 0
}

function assertEqual(left: unknown, right: unknown, what: string): void {
  if (isDeepStrictEqual(left, right)) return
  throw new Error(`${what} differ: ${JSON.stringify(left)} and ${JSON.stringify(right)}`)
}
