import { DatabaseSync } from 'node:sqlite'
import { identityAt } from './file-identity.ts'

const path = process.argv[2] as string
const db = new DatabaseSync(path, { timeout: 1000 })
db.exec('PRAGMA wal_autocheckpoint = 0; BEGIN')
// The first read takes the shared lock, which stays until this process ends.
try {
  db.prepare('SELECT count(*) FROM sqlite_schema').get()
} catch (error) {
  // SQLITE_IOERR_SHORT_READ: the log is gone and its index is not. The log is open, and so the lock stays.
  if ((error as { errcode?: number }).errcode !== 522) throw error
}
process.stdout.write(`${identityAt(path)}\n`)
// If the parent is gone, too, this ends without closing: a close could be the last one.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.resume()
