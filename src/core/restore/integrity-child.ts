import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

/** What the child process prints, as one line of JSON. */
export interface IntegrityReport {
  readonly outcome: 'ok' | 'damaged' | 'incomplete'
  readonly problems: readonly string[]
}

/** Problems listed at most; one is enough to refuse. */
const MAX_PROBLEMS = 10
/** Result codes that say that the file itself is bad (SQLITE_CORRUPT, SQLITE_NOTADB). */
const DAMAGE_CODES: ReadonlySet<number> = new Set([11, 26])

const [path, check] = process.argv.slice(2)
process.stdout.write(`${JSON.stringify(report(path as string, check === 'quick'))}\n`)

function report(file: string, quick: boolean): IntegrityReport {
  const url = pathToFileURL(file)
  // No WAL is looked for and none is made, though the header says WAL mode.
  url.searchParams.set('immutable', '1')
  try {
    using database = new DatabaseSync(url, { readOnly: true })
    // A database from a store is foreign input: nothing in its schema may run more than the check needs.
    database.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0')
    const pragma = quick ? 'quick_check' : 'integrity_check'
    const rows = database.prepare(`PRAGMA ${pragma}(${MAX_PROBLEMS})`).all()
    const problems = rows.map((row) => String(row[pragma])).filter((text) => text !== 'ok')
    return { outcome: problems.length === 0 ? 'ok' : 'damaged', problems }
  } catch (error) {
    const { errcode, message } = error as Error & { readonly errcode?: number | undefined }
    const damaged = errcode !== undefined && DAMAGE_CODES.has(errcode & 0xff)
    return { outcome: damaged ? 'damaged' : 'incomplete', problems: [message] }
  }
}
