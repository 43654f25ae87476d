import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

/**
 * Connects to a live database. A file that was deleted a moment ago is not created again, as SQLite
 * would by default: applications, and a restore, would take the empty file for the database.
 *
 * @param timeoutMs how long each statement waits for a lock, in milliseconds
 * @throws Error of SQLite: SQLITE_CANTOPEN if there is no file
 */
export function connect(path: string, timeoutMs: number): DatabaseSync {
  return new DatabaseSync(`${pathToFileURL(path).href}?mode=rw`, { timeout: timeoutMs })
}
