import type { DatabaseSync } from 'node:sqlite'
import { connect } from './connect.ts'

/** How long to wait for another connection to finish its transaction, in milliseconds. */
const BUSY_MS = 100

/**
 * Switches a database to WAL mode. SQLite does so only while no other connection has a transaction
 * open. No connection of this process to the file may be open: closing one drops the locks of all.
 *
 * @returns why it could not be switched; `undefined` if it was
 */
export function enableWal(path: string): string | undefined {
  let db: DatabaseSync | undefined
  try {
    db = connect(path, BUSY_MS)
    const row = db.prepare('PRAGMA journal_mode = wal').get() as { journal_mode: string }
    return row.journal_mode === 'wal' ? undefined : `SQLite keeps it in ${row.journal_mode} mode`
  } catch (error) {
    return (error as Error).message
  } finally {
    db?.close()
  }
}
