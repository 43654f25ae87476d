import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SourceDatabase, TICK_MS } from '../../../src/core/db/index.ts'

describe('mismatchIfTouched', () => {
  let folder: string
  let path: string
  let db: DatabaseSync
  let source: SourceDatabase

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'walsync source '))
    path = join(folder, 'app.db')
    db = new DatabaseSync(path)
    db.exec(
      'PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (randomblob(9000))',
    )
    source = SourceDatabase.open(path)!
    await source.capture.pinFullView()
    db.exec('PRAGMA wal_checkpoint')
    source.capture.advanceReadMark()
  })
  afterEach(async () => {
    await source.close()
    if (db.isOpen) db.close()
    rmSync(folder, { recursive: true })
  })

  /** Checks until the times of the files are old enough to say all about them. */
  async function settle(): Promise<void> {
    await delay(2 * TICK_MS)
    expect(source.mismatchIfTouched()).toBeUndefined()
  }

  it('asks for no more than names and times of untouched files, but every tenth time', async () => {
    await settle()
    const complete = vi.spyOn(source.guard, 'state')
    const calls = Array.from({ length: 20 }, () => {
      expect(source.mismatchIfTouched()).toBeUndefined()
      return complete.mock.calls.length
    })
    expect(calls[8]).toBe(0)
    expect(calls[9]).toBeGreaterThan(0)
    expect(calls[18]).toBe(calls[9])
    expect(calls[19]).toBeGreaterThan(calls[9]!)
  })

  it('is complete while a write could leave the times as they are', () => {
    const later = new Date(Date.now() + 3_600_000)
    utimesSync(`${path}-wal`, later, later)
    const complete = vi.spyOn(source.guard, 'state')
    let calls = 0
    for (let check = 0; check < 3; check++) {
      expect(source.mismatchIfTouched()).toBeUndefined()
      expect(complete.mock.calls.length).toBeGreaterThan(calls)
      calls = complete.mock.calls.length
    }
  })

  it.each<[string, () => void]>([
    [
      'the main file is overwritten in place',
      () => writeFileSync(path, readFileSync(path), { flag: 'r+' }),
    ],
    [
      'the main file is replaced',
      () => {
        writeFileSync(`${path}.new`, readFileSync(path))
        renameSync(`${path}.new`, path)
      },
    ],
    ['the main file is removed', () => renameSync(path, `${path}.away`)],
    ['the log is emptied', () => truncateSync(`${path}-wal`)],
    ['the log is removed', () => rmSync(`${path}-wal`)],
    ['the index is removed', () => rmSync(`${path}-shm`)],
  ])('finds at once that %s', async (_, touch) => {
    await settle()
    touch()
    expect(source.mismatchIfTouched()).toBeDefined()
    // And does not take that for the new normal.
    expect(source.mismatchIfTouched()).toBeDefined()
  })
})
