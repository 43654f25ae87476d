// Commits one row and is killed between writing the commit to the log and publishing it in the WAL
// index: the header of the index is put back to what it was. Nobody may read meanwhile.
// Usage: node unpublished-writer.ts DB
import { openSync, readSync, writeSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { addRows } from '../cli/sample-database.ts'

/** Both copies of the header. SQLite, "WAL-mode file format", section 2.1. */
const HEADERS = 96

const path = process.argv[2]!
const db = new DatabaseSync(path)
db.exec('SELECT count(*) FROM sqlite_schema')
const index = openSync(`${path}-shm`, 'r+')
const before = Buffer.alloc(HEADERS)
readSync(index, before, 0, HEADERS, 0)
addRows(db, 1)
writeSync(index, before, 0, HEADERS, 0)
process.kill(process.pid, 'SIGKILL')
