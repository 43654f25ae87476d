import { writeSync } from 'node:fs'
import { constants, DatabaseSync, type StatementSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { isMainThread, Worker } from 'node:worker_threads'

/** What the child process prints for each statement, as one line of JSON. */
export type AssertionAnswer =
  | { readonly holds: boolean; readonly value: string }
  | { readonly error: string }

/** Characters of a value that are shown. */
const MAX_SHOWN = 200

/** Pragmas that only report. Any other may change the connection, or write. */
const PRAGMAS: ReadonlySet<string> = new Set([
  'application_id',
  'data_version',
  'encoding',
  'foreign_key_check',
  'foreign_key_list',
  'freelist_count',
  'index_info',
  'index_list',
  'index_xinfo',
  'integrity_check',
  'page_count',
  'page_size',
  'quick_check',
  'schema_version',
  'table_info',
  'table_list',
  'table_xinfo',
  'user_version',
])
/** White space, comments and semicolons: what may follow the statement. */
const NOTHING = /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*$/

if (isMainThread)
  endWithParent(new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) }))
else answerAll(process.argv.slice(2))

/** A statement may never end, and whoever would have ended it may be killed: their end closes stdin. */
function endWithParent(worker: Worker): void {
  const end = (): boolean => process.kill(process.pid, 'SIGKILL')
  process.stdin.on('end', end).on('error', end).resume()
  worker.on('error', (error) => {
    throw error
  })
  worker.on('exit', (code) => process.exit(code))
}

function answerAll([path, ...statements]: readonly string[]): void {
  // Each at once, and not when the thread has time for it.
  for (const sql of statements) writeSync(1, `${JSON.stringify(answer(path as string, sql))}\n`)
}

function answer(file: string, statement: string): AssertionAnswer {
  const url = pathToFileURL(file)
  // No WAL is looked for and none is made, though the header says WAL mode.
  url.searchParams.set('immutable', '1')
  try {
    using database = new DatabaseSync(url, { readOnly: true, allowExtension: false })
    return ask(database, statement)
  } catch (error) {
    const { message } = error as Error
    const isDenied = /not authorized|prohibited|readonly database/.test(message)
    return { error: isDenied ? `an assertion may only read (${message})` : message }
  }
}

function ask(database: DatabaseSync, statement: string): AssertionAnswer {
  // A database from a store is foreign input: its schema may run no function that has side effects.
  database.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0')
  const judge = database.prepare(
    `SELECT substr(quote(?1), 1, ${MAX_SHOWN}) AS value, CASE WHEN ?1 THEN 1 ELSE 0 END AS holds`,
  )
  if (typeof database.setAuthorizer !== 'function') {
    return { error: `an assertion needs Node 24.10 or newer, and this is ${process.version}` }
  }
  database.setAuthorizer(onlyReads)
  const query = database.prepare(statement)
  if (!NOTHING.test(statement.slice(query.sourceSQL.length))) {
    return { error: 'an assertion is one statement, and more text follows it' }
  }
  const columns = query.columns().length
  if (columns !== 1) return { error: `an assertion gives one column, not ${columns}` }
  query.setReadBigInts(true)
  const rows = firstRows(query)
  if (rows.length !== 1) {
    return { error: `an assertion gives one row, not ${rows.length === 0 ? 'none' : 'several'}` }
  }
  const [value = null] = Object.values(rows[0] as Record<string, null>)
  const { value: shown, holds } = judge.get(value) as { value: string; holds: number }
  return { holds: holds === 1, value: shown }
}

function firstRows(query: StatementSync): unknown[] {
  const rows: unknown[] = []
  for (const row of query.iterate()) {
    rows.push(row)
    if (rows.length === 2) break
  }
  return rows
}

/**
 * Called by SQLite for each thing that a statement does. Writes to the file itself are left to
 * SQLite, which refuses them because it was opened read-only: some virtual tables prepare such
 * statements only to be read.
 */
function onlyReads(
  action: number,
  first: string | null,
  second: string | null,
  schema: string | null,
): number {
  const { SQLITE_OK, SQLITE_DENY } = constants
  switch (action) {
    case constants.SQLITE_SELECT:
    case constants.SQLITE_READ:
    case constants.SQLITE_RECURSIVE:
      return SQLITE_OK
    case constants.SQLITE_FUNCTION:
      return second === 'load_extension' ? SQLITE_DENY : SQLITE_OK
    case constants.SQLITE_PRAGMA:
      return PRAGMAS.has((first ?? '').toLowerCase()) ? SQLITE_OK : SQLITE_DENY
    case constants.SQLITE_INSERT:
    case constants.SQLITE_UPDATE:
    case constants.SQLITE_DELETE:
      return schema === 'main' ? SQLITE_OK : SQLITE_DENY
    default:
      return SQLITE_DENY
  }
}
