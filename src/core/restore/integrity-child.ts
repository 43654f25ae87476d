import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

/** What the child process prints, as one line of JSON. */
export interface IntegrityReport {
  readonly outcome: 'ok' | 'damaged' | 'incomplete'
  readonly problems: readonly string[]
  /** Rows that break a constraint of their table. */
  readonly warnings: readonly string[]
}

/** Most findings to list of each kind; a single problem is enough to reject the database. */
const MAX_PROBLEMS = 10
const MAX_INT = 2 ** 31 - 1
/**
 * Messages about rows that break `NOT NULL`, `UNIQUE`, `CHECK` or the type of a column, for example
 * after the schema was changed in place or a `CHECK` was added later. The file itself is intact.
 */
const CONSTRAINT =
  /^(?:(?:NULL|TEXT|NUMERIC|non-[A-Z]+) value in |CHECK constraint failed in |non-unique entry in index )/
const STDIN = 0
/** Result codes for a damaged file (SQLITE_CORRUPT, SQLITE_NOTADB). */
const DAMAGE_CODES: ReadonlySet<number> = new Set([11, 26])

const [path, check] = process.argv.slice(2)
// Without a word the process that wanted the check is gone, or does without it.
const isWanted = readFileSync(STDIN).length > 0
if (isWanted) process.stdout.write(`${JSON.stringify(report(path as string, check === 'quick'))}\n`)

function report(file: string, quick: boolean): IntegrityReport {
  const url = pathToFileURL(file)
  // SQLite neither looks for a WAL nor creates one, although the header says WAL mode.
  url.searchParams.set('immutable', '1')
  try {
    using database = new DatabaseSync(url, { readOnly: true })
    // A database from a store is untrusted input: its schema must not run anything that the check
    // does not need.
    database.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0')
    const pragma = quick ? 'quick_check' : 'integrity_check'
    // SQLite reports damage to the trees first, so this limit applies to it as well.
    const first = findings(database, pragma, MAX_PROBLEMS)
    const isCut = first.problems.length === 0 && first.warnings.length === MAX_PROBLEMS
    const { problems, warnings } = isCut ? findings(database, pragma, MAX_INT) : first
    return { outcome: problems.length === 0 ? 'ok' : 'damaged', problems, warnings }
  } catch (error) {
    const { errcode, message } = error as Error & { readonly errcode?: number | undefined }
    const damaged = errcode !== undefined && DAMAGE_CODES.has(errcode & 0xff)
    return { outcome: damaged ? 'damaged' : 'incomplete', problems: [message], warnings: [] }
  }
}

function findings(
  database: DatabaseSync,
  pragma: string,
  bound: number,
): Pick<IntegrityReport, 'problems' | 'warnings'> {
  const problems: string[] = []
  const warnings: string[] = []
  let more = 0
  for (const row of database.prepare(`PRAGMA ${pragma}(${bound})`).iterate()) {
    const text = String(row[pragma])
    if (text === 'ok') continue
    if (!CONSTRAINT.test(text)) problems.push(text)
    else if (warnings.length < MAX_PROBLEMS) warnings.push(text)
    else more++
    if (problems.length === MAX_PROBLEMS) break
  }
  if (more > 0) warnings.push(`and ${more} more`)
  return { problems, warnings }
}
