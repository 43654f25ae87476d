import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DatabaseView, SourceDatabase } from '../../../src/core/db/index.ts'
import { comparePages } from '../../../src/core/repair/compare-pages.ts'

const PAGE_SIZE = 512
let folder: string
let db: DatabaseSync
let source: SourceDatabase
let view: DatabaseView
let good: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-compare-'))
  const path = join(folder, 'app.db')
  db = new DatabaseSync(path)
  db.exec(`PRAGMA page_size=${PAGE_SIZE}; PRAGMA journal_mode=WAL; CREATE TABLE t (x)`)
  // More than one batch of pages, part of them in the file and part in the WAL.
  db.exec('INSERT INTO t VALUES (zeroblob(1200000)); PRAGMA wal_checkpoint(TRUNCATE)')
  db.exec('UPDATE t SET x = CAST(hex(zeroblob(620000)) AS BLOB)')
  source = SourceDatabase.open(path) as SourceDatabase
  view = await source.capture.pinFullView()
  good = join(folder, 'good.db')
  db.exec('PRAGMA wal_checkpoint(PASSIVE)')
  // By another process: to close the file here would drop the locks of SQLite's connections.
  execFileSync('cp', [path, good])
  truncateSync(good, view.commit * PAGE_SIZE)
})
afterAll(async () => {
  await source.close()
  db.close()
  rmSync(folder, { recursive: true })
})

async function compareWith(change: (path: string) => void) {
  const path = join(folder, 'other.db')
  copyFileSync(good, path)
  change(path)
  return await comparePages(source, view, path)
}

function flipped(pages: readonly number[]) {
  return (path: string): void => {
    const bytes = readFileSync(path)
    for (const pgno of pages) {
      const at = pgno * PAGE_SIZE - 1
      bytes[at] = (bytes[at] as number) ^ 1
    }
    writeFileSync(path, bytes)
  }
}

describe('comparePages', () => {
  it('finds equal databases equal', async () => {
    expect(view.commit).toBeGreaterThan(2100)
    const all = { pages: view.commit, differing: 0, first: [] }
    expect(await compareWith(() => {})).toEqual(all)
  })

  it('finds one flipped bit in any page, even at the edges of batches', async () => {
    for (const pgno of [1, 2, 2047, 2048, 2049, view.commit - 1, view.commit]) {
      expect(await compareWith(flipped([pgno]))).toMatchObject({ differing: 1, first: [pgno] })
    }
  })

  it('counts all pages that differ and names the first', async () => {
    const pages = Array.from({ length: 30 }, (_, n) => 5 + n * 60)
    const { differing, first } = await compareWith(flipped(pages))
    expect({ differing, first }).toEqual({ differing: 30, first: pages.slice(0, 10) })
  })

  it('counts pages that only one of them has', async () => {
    const { commit } = view
    expect(await compareWith((path) => truncateSync(path, (commit - 3) * PAGE_SIZE))).toEqual({
      pages: commit,
      differing: 3,
      first: [commit - 2, commit - 1, commit],
    })
    expect(await compareWith((path) => truncateSync(path, 0))).toMatchObject({ differing: commit })
    const longer = await compareWith((path) => appendFileSync(path, Buffer.alloc(PAGE_SIZE + 1)))
    expect(longer).toEqual({ pages: commit + 2, differing: 2, first: [commit + 1, commit + 2] })
  })

  it('ends with the reason of its signal', async () => {
    const signal = AbortSignal.abort(new Error('stopped'))
    await expect(comparePages(source, view, good, signal)).rejects.toThrow('stopped')
  })
})
