import { mkdtempSync, rmSync } from 'node:fs'
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
