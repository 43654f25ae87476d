import { readFileSync, statSync } from 'node:fs'
import { connect } from './connect.ts'
import { identityAt } from './file-identity.ts'

/**
 * SQLite's shared lock is on these bytes of the main file (SHARED_FIRST and SHARED_SIZE in os.h).
 */
const SHARED_FIRST = 0x40000002
const SHARED_LAST = SHARED_FIRST + 509

const path = process.argv[2] as string
const db = connect(path, 1000)
db.exec('PRAGMA wal_autocheckpoint = 0; BEGIN')
// The first read takes the shared lock, which is held until this process is killed, even after its
// parent has ended. The process never closes the database, because that could be the last close.
try {
  db.prepare('SELECT count(*) FROM sqlite_schema').get()
} catch (error) {
  // If the log is missing, truncated or another one, the read fails, usually after the lock has
  // been taken.
  if (!holdsSharedLock(path)) throw error
}
process.stdout.write(`${identityAt(path)}\n`)
process.stdin.on('end', () => {
  // This reference keeps it from being garbage-collected, which would close it and drop the lock.
  if (db.isOpen) process.kill(process.pid, 'SIGKILL')
})
process.stdin.resume()

/** According to `/proc/locks` (proc(5)); false on systems without it. */
function holdsSharedLock(file: string): boolean {
  let locks: string
  try {
    locks = readFileSync('/proc/locks', 'utf8')
  } catch {
    return false
  }
  const inode = String(statSync(file).ino)
  return locks.split('\n').some((line) => {
    const [, , , , pid, place = '', first, last] = line.trim().split(/\s+/)
    const isOurs = pid === String(process.pid) && place.split(':')[2] === inode
    return isOurs && Number(first) <= SHARED_FIRST && Number(last) >= SHARED_LAST
  })
}
