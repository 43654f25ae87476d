import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readView, readViewRanges, SourceDatabase } from '../../../src/core/db/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'walsync-view-'))
const path = join(folder, 'app.db')
let db: DatabaseSync
let source: SourceDatabase

beforeAll(() => {
  db = new DatabaseSync(path)
  db.exec(`PRAGMA journal_mode = WAL; CREATE TABLE t (a);
    INSERT INTO t VALUES (zeroblob(40000)); PRAGMA wal_checkpoint(TRUNCATE);
    UPDATE t SET a = randomblob(20000)`)
  source = SourceDatabase.open(path)!
})

afterAll(async () => {
  await source.close()
  db.close()
  rmSync(folder, { recursive: true })
})

describe('the ranges of a view', () => {
  it.each([1, 2, 3, 100])('are all pages but the lock page, %i at a time', async (pages) => {
    const view = await source.capture.pinFullView()
    const { pageSize } = source
    const lockPage = 3
    expect(view.commit).toBeGreaterThan(6)
    expect(view.pages?.size).toBeGreaterThan(2)
    const memoryFor = () => new Uint8Array(pages * pageSize)
    const ranges = [...readViewRanges(source, view, lockPage, memoryFor)]
    const inRanges = ranges.flatMap(({ first, data }) =>
      Array.from({ length: data.length / pageSize }, (_, i) => ({
        pgno: first + i,
        data: Buffer.from(data.subarray(i * pageSize, (i + 1) * pageSize)),
      })),
    )
    const numbers = Array.from({ length: view.commit }, (_, i) => i + 1)
    expect(inRanges.map(({ pgno }) => pgno)).toEqual(numbers.filter((pgno) => pgno !== lockPage))
    const single = [...readView(source, view, lockPage)]
    expect(single.map(({ pgno }) => pgno)).toEqual(inRanges.map(({ pgno }) => pgno))
    // The memory of a range is reused by `readView`, so each page is compared as it comes.
    let at = 0
    for (const { data } of readView(source, view, lockPage)) {
      expect(Buffer.compare(data, inRanges[at++]!.data)).toBe(0)
    }
    source.guard.release()
  })
})
