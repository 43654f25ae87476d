import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { DatabaseError, SourceDatabase, whileBusy } from '../../../src/core/db/index.ts'

/** An application that holds its database as the last close does while it copies the log. */
function exclusiveApp(): { readonly path: string; readonly app: DatabaseSync } {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-busy-'))
  const path = join(folder, 'app.db')
  const app = new DatabaseSync(path)
  onTestFinished(() => {
    if (app.isOpen) app.close()
    rmSync(folder, { recursive: true })
  })
  app.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
  return { path, app }
}

it('waits for a database that another connection holds exclusively', async () => {
  const { path, app } = exclusiveApp()
  let refused = 0
  const opened = whileBusy(() => {
    try {
      return SourceDatabase.open(path)
    } catch (error) {
      refused += 1
      if (refused === 2) app.close()
      throw error
    }
  }, undefined)
  const source = await opened
  expect(refused).toBe(2)
  await source?.close()
})

it('ends with its signal, and with any other error at once', async () => {
  const { path } = exclusiveApp()
  const reason = new Error('enough')
  const waiting = whileBusy(() => SourceDatabase.open(path), AbortSignal.abort(reason))
  await expect(waiting).rejects.toMatchObject({ cause: reason })
  const missing = whileBusy(() => SourceDatabase.open(`${path}-missing`), undefined)
  await expect(missing).rejects.toMatchObject({ code: 'MissingFile' })
})

it('gives up after some ten seconds', async () => {
  let attempts = 0
  const waiting = whileBusy(() => {
    attempts += 1
    throw new DatabaseError('Busy', 'app.db', 'app.db is locked.')
  }, undefined)
  await expect(waiting).rejects.toMatchObject({ code: 'Busy' })
  expect(attempts).toBe(30)
}, 30_000)
