import {
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReadGuard } from '../../../src/core/db/read-guard.ts'
import { WalIndexFile } from '../../../src/core/db/wal-index-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync index '))
})
afterEach(() => rmSync(folder, { recursive: true }))

function open(): { db: DatabaseSync; path: string } {
  const path = join(folder, 'app.db')
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a, b)')
  return { db, path }
}

test('reads what SQLite reads, after every kind of write and checkpoint', () => {
  const { db, path } = open()
  const index = new WalIndexFile(path)
  const states = new Set<string>()
  const steps = [
    "INSERT INTO t VALUES (1, 'x')",
    'INSERT INTO t SELECT 2, randomblob(20000)',
    'PRAGMA wal_checkpoint(PASSIVE)',
    'DELETE FROM t WHERE a = 2',
    'PRAGMA wal_checkpoint(RESTART)',
    'UPDATE t SET b = 3',
    'PRAGMA wal_checkpoint(TRUNCATE)',
    'BEGIN; INSERT INTO t VALUES (4, 5); ROLLBACK',
    'VACUUM',
  ]
  for (const step of [...steps, ...steps]) {
    db.exec(step)
    const { log, checkpointed } = db.prepare('PRAGMA wal_checkpoint(NOOP)').get() as Record<
      string,
      number
    >
    expect(index.state(), step).toEqual({ published: log, backfilled: checkpointed })
    states.add(`${log} ${checkpointed}`)
  }
  expect(states.size).toBeGreaterThan(5)
  index.close()
  db.close()
})

test('a look stays the same until something is written, copied, or the log restarted', () => {
  const { db, path } = open()
  const index = new WalIndexFile(path)
  const steps = [
    "INSERT INTO t VALUES (1, 'x')",
    'PRAGMA wal_checkpoint(PASSIVE)',
    'DELETE FROM t',
    'PRAGMA wal_checkpoint(RESTART)',
    // Into a new run of as many frames as the one before.
    'INSERT INTO t VALUES (2, 3)',
    'PRAGMA wal_checkpoint(TRUNCATE)',
  ]
  for (const step of steps) {
    const look = index.look()!
    db.exec('SELECT count(*) FROM t')
    db.exec('BEGIN; INSERT INTO t VALUES (4, 5); ROLLBACK')
    expect(index.isStill(look), `before ${step}`).toBe(true)
    db.exec(step)
    expect(index.isStill(look), `after ${step}`).toBe(false)
  }
  index.close()
  db.close()
})

test.each([
  { where: 'the first copy of the header', offsets: [16] },
  { where: 'the second copy', offsets: [48 + 16] },
  { where: 'both, so that only the checksum tells', offsets: [16, 48 + 16] },
])('leaves an index to SQLite in which a byte is wrong in $where', ({ offsets }) => {
  const { db, path } = open()
  const copy = join(folder, 'copy')
  copyFileSync(`${path}-shm`, `${copy}-shm`)
  const whole = new WalIndexFile(copy)
  expect(whole.state()).toEqual({ published: expect.any(Number), backfilled: 0 })
  const fd = openSync(`${copy}-shm`, 'r+')
  for (const offset of offsets) writeSync(fd, Uint8Array.of(77), 0, 1, offset)
  expect(whole.state()).toBeUndefined()
  db.close()
})

test('an index that was cut off, or is empty, is left to SQLite', () => {
  const path = join(folder, 'app.db')
  for (const bytes of [0, 50, 99]) {
    writeFileSync(`${path}-shm`, new Uint8Array(bytes).fill(1))
    expect(new WalIndexFile(path).state()).toBeUndefined()
  }
  expect(new WalIndexFile(join(folder, 'none')).state()).toBeUndefined()
})

test('a guard refuses an index that took the name of the one that its connections use', () => {
  const { db, path } = open()
  db.exec("INSERT INTO t VALUES (1, 'x')")
  // Another database's index takes the name once the connections of this process have theirs.
  const other = new DatabaseSync(join(folder, 'other.db'))
  other.exec('PRAGMA journal_mode = WAL; CREATE TABLE u (a)')
  const before = readFileSync(`${path}-shm`)
  renameSync(`${path}-shm`, `${path}-old`)
  copyFileSync(`${join(folder, 'other.db')}-shm`, `${path}-shm`)
  expect(readFileSync(`${path}-shm`).equals(before)).toBe(false)
  expect(() => new ReadGuard(path)).toThrow(
    expect.objectContaining({ code: 'Replaced', path }) as Error,
  )
  other.close()
  db.close()
})
