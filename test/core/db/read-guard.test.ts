import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ReadGuard } from '../../../src/core/db/read-guard.ts'

let folder: string
let path: string
let app: DatabaseSync

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-guard-'))
  path = join(folder, 'app.db')
  app = new DatabaseSync(path)
  app.exec('PRAGMA journal_mode = wal; CREATE TABLE t (n)')
})
afterEach(() => {
  app.close()
  rmSync(folder, { recursive: true })
})

it.each(['an idle', 'a writing'])('names a log that was deleted under %s application', (what) => {
  rmSync(`${path}-wal`)
  if (what === 'a writing') app.exec('INSERT INTO t VALUES (1)')
  expect(() => new ReadGuard(path)).toThrow(
    expect.objectContaining({
      code: 'Unreadable',
      message: expect.stringMatching(/app.db-wal was deleted .*: restart the application/),
      cause: expect.objectContaining({ message: 'disk I/O error' }),
    }),
  )
})

it('does not take an index that a writer is changing for an empty log', () => {
  app.exec('INSERT INTO t VALUES (1)')
  const guard = new ReadGuard(path)
  guard.take()
  const { published } = guard.state()
  expect(published).toBeGreaterThan(0)
  app.exec('BEGIN IMMEDIATE')
  const index = openSync(`${path}-shm`, 'r+')
  // The counter of changes in the first copy of the header, which differs from the second one then.
  const change = () => {
    const byte = Buffer.alloc(1)
    readSync(index, byte, 0, 1, 8)
    writeSync(index, Buffer.of(byte[0]! ^ 1), 0, 1, 8)
  }
  change()
  expect(guard.index.state()).toBeUndefined()
  expect(() => guard.state()).toThrow(expect.objectContaining({ code: 'Busy' }))
  change()
  app.exec('ROLLBACK')
  expect(guard.state().published).toBe(published)
  closeSync(index)
  guard.close()
})

it('keeps other writers out from takeWithLock to unlock, and the log from a restart after it', () => {
  const writer = new DatabaseSync(path, { timeout: 0 })
  const guard = new ReadGuard(path)
  writer.exec('INSERT INTO t VALUES (1)')
  guard.take()
  writer.exec('BEGIN IMMEDIATE; INSERT INTO t VALUES (2)')
  expect(guard.takeWithLock()).toBe(false)
  writer.exec('COMMIT')
  expect(guard.takeWithLock()).toBe(true)
  expect(() => writer.exec('INSERT INTO t VALUES (3)')).toThrow('database is locked')
  guard.unlock()
  writer.exec('INSERT INTO t VALUES (4)')
  const { published, backfilled } = guard.state()
  // The mark is where the lock was taken, so all but the last commit can be copied.
  const { checkpointed } = writer.prepare('PRAGMA wal_checkpoint(RESTART)').get() as {
    checkpointed: number
  }
  expect(checkpointed).toBeGreaterThan(backfilled)
  expect(checkpointed).toBeLessThan(published)
  guard.close()
  writer.close()
})
