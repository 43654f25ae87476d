import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { readChange, SourceDatabase } from '../../../src/core/db/index.ts'

it('a change whose log is restarted before it has been read is refused, not read from other frames', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-change-'))
  const path = join(folder, 'app.db')
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
  const source = SourceDatabase.open(path)!
  await source.capture.pinFullView()
  db.exec('INSERT INTO t VALUES (1)')
  const change = (await source.capture.scan())!
  const read = () => [...readChange(change, source.wal, source.pageSize, 0)].map(({ pgno }) => pgno)
  expect(read()).toEqual([2])
  source.guard.release()
  db.exec('PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)')
  expect(read).toThrow(expect.objectContaining({ code: 'ContinuityLost' }))
  await source.close()
  db.close()
  rmSync(folder, { recursive: true })
})
