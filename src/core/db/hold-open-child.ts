import { DatabaseSync } from 'node:sqlite'
import { identityAt } from './file-identity.ts'

const path = process.argv[2] as string
const db = new DatabaseSync(path, { timeout: 1000 })
db.exec('PRAGMA wal_autocheckpoint = 0; BEGIN')
// The first read takes the shared lock, which stays until this process ends.
try {
  db.prepare('SELECT count(*) FROM sqlite_schema').get()
} catch (error) {
  // SQLITE_IOERR_SHORT_READ, _CORRUPT, _NOTADB: the log is gone or another's, and its index is not.
  // SQLite locks the main file and opens the log before it reads a page, and so the lock stays.
  if (![522, 11, 26].includes((error as { errcode?: number }).errcode ?? 0)) throw error
}
process.stdout.write(`${identityAt(path)}\n`)
// If the parent is gone, too, this ends without closing: a close could be the last one.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.resume()
