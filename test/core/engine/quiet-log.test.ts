import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Checkpointer, SourceDatabase } from '../../../src/core/db/index.ts'
import { CheckpointPolicy } from '../../../src/core/engine/capture/checkpoint-policy.ts'
import { QuietLog } from '../../../src/core/engine/capture/quiet-log.ts'

let folder: string
let app: DatabaseSync
let source: SourceDatabase
let quietLog: QuietLog

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'walsync quiet '))
  const path = join(folder, 'app.db')
  app = new DatabaseSync(path, { timeout: 5000 })
  app.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)')
  source = SourceDatabase.open(path)!
  await source.capture.pinFullView()
  quietLog = new QuietLog(source, new CheckpointPolicy(source, new Checkpointer(), 64 << 20))
})
afterEach(async () => {
  await source.close()
  app.close()
  rmSync(folder, { recursive: true })
})

async function turn(during = () => {}): Promise<void> {
  quietLog.turnBegins()
  const change = await source.capture.scan()
  if (change !== undefined) source.capture.advance(change)
  during()
  if (change === undefined) quietLog.turnWasQuiet()
}

it('is still only after a quiet turn, and until the next commit', async () => {
  expect(quietLog.isStill).toBe(false)
  await turn()
  expect(quietLog.isStill).toBe(true)
  app.exec('INSERT INTO t VALUES (1)')
  expect(quietLog.isStill).toBe(false)
  await turn()
  expect(quietLog.isStill, 'after a turn that captured').toBe(false)
  await turn()
  expect(quietLog.isStill).toBe(true)
})

it('is not still after a commit that came during the quiet turn', async () => {
  await turn(() => app.exec('INSERT INTO t VALUES (1)'))
  expect(quietLog.isStill).toBe(false)
})

it('is not still when an application has copied frames, so that the read mark can follow', async () => {
  app.exec('INSERT INTO t VALUES (1)')
  await turn()
  await turn()
  expect(quietLog.isStill).toBe(true)
  app.exec('PRAGMA wal_checkpoint(PASSIVE)')
  expect(quietLog.isStill).toBe(false)
})

it('is not still while the log is worth a checkpoint', async () => {
  app.exec('INSERT INTO t SELECT randomblob(5000000)')
  await turn()
  await turn()
  expect(quietLog.isStill).toBe(false)
})
