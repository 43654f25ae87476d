import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type DatabaseView, type PageRange, SourceDatabase } from '../../../src/core/db/index.ts'
import {
  encodeInThreads,
  encoderThreadsFor,
} from '../../../src/core/engine/capture/encoder-threads.ts'
import { fullFile } from '../../../src/core/engine/capture/ltx-file.ts'
import {
  decodeLtx,
  type EncodedRange,
  encodeLtx,
  RangeEncoder,
  txid,
} from '../../../src/core/ltx/index.ts'
import type { PutSource } from '../../../src/core/store/index.ts'
import { whereNoThreadStarts } from '../../support/no-threads.ts'
import { until } from '../../support/until.ts'

const PAGE_SIZE = 4096
/** Enough for several ranges a thread. */
const RANGES = 20

/** Ranges of pages with their number in each byte. */
function* numberedRanges(memoryFor: () => Uint8Array): Generator<PageRange> {
  for (let i = 0; i < RANGES; i++) {
    const data = memoryFor().fill(i)
    yield { first: 1 + (i * data.length) / PAGE_SIZE, data }
  }
}

const isLinux = process.platform === 'linux'

/** Threads of this process, of any kind. */
const threads = () => readdirSync('/proc/self/task').length

describe('encodeInThreads', () => {
  it.each([1, 2, 3])('yields the ranges in their order, with %i threads', async (count) => {
    await expectAllInOrder(encodeInThreads(count, PAGE_SIZE, numberedRanges))
  })

  it.runIf(isLinux)('ends its threads if it is left early', async () => {
    const before = threads()
    let during = 0
    for await (const _ of encodeInThreads(3, PAGE_SIZE, numberedRanges)) {
      during = threads()
      break
    }
    expect(during).toBeGreaterThanOrEqual(before + 3)
    await until(() => threads() <= during - 3)
  })

  it.runIf(isLinux)('passes on an error of the reader, and ends its threads', async () => {
    const before = threads()
    let during = 0
    function* failing(memoryFor: () => Uint8Array): Generator<PageRange> {
      for (const range of numberedRanges(memoryFor)) {
        during = threads()
        if (range.first > PAGE_SIZE / 8) throw new Error('cannot be read')
        yield range
      }
    }
    const all = async () => {
      for await (const _ of encodeInThreads(2, PAGE_SIZE, failing));
    }
    await expect(all()).rejects.toThrow('cannot be read')
    expect(during).toBeGreaterThanOrEqual(before + 2)
    await until(() => threads() <= during - 2)
  })

  it('passes on what is wrong with the pages', async () => {
    // Larger than any page: no kernel has room for it.
    const all = async () => {
      for await (const _ of encodeInThreads(2, 1 << 20, numberedRanges));
    }
    await expect(all()).rejects.toThrow('offset is out of bounds')
  })

  it('does without threads that end in the middle', async () => {
    const post = vi.spyOn(Worker.prototype, 'postMessage')
    let ended = 0
    post.mockImplementation(function (this: Worker) {
      ended += 1
      void this.terminate()
    })
    try {
      await expectAllInOrder(encodeInThreads(2, PAGE_SIZE, numberedRanges))
    } finally {
      post.mockRestore()
    }
    expect(ended).toBeGreaterThanOrEqual(2)
  })

  it('does without threads where a limit allows none', async () => {
    const refused = await whereNoThreadStarts(async () => {
      const limited = await import('../../../src/core/engine/capture/encoder-threads.ts')
      await expectAllInOrder(limited.encodeInThreads(2, PAGE_SIZE, numberedRanges))
    })
    expect(refused).toBe(1)
  })
})

async function expectAllInOrder(ranges: AsyncIterable<EncodedRange>): Promise<void> {
  const encoder = new RangeEncoder(PAGE_SIZE)
  let i = 0
  for await (const range of ranges) {
    const bytes = range.sizes.length * PAGE_SIZE
    const first = 1 + (i * bytes) / PAGE_SIZE
    expect(range).toEqual(encoder.encode(first, new Uint8Array(bytes).fill(i)))
    i += 1
  }
  expect(i).toBe(RANGES)
}

describe('a file of a whole database that is large enough for threads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-threads-'))
  let db: DatabaseSync
  let source: SourceDatabase
  let view: DatabaseView

  beforeAll(async () => {
    const path = join(folder, 'app.db')
    db = new DatabaseSync(path)
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE t (a);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9000)
      INSERT INTO t SELECT CAST(randomblob(2000) || zeroblob(1900) AS BLOB) FROM n`)
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    // Some pages are read from the WAL.
    db.exec('UPDATE t SET a = zeroblob(3500) WHERE rowid % 100 = 1')
    source = SourceDatabase.open(path)!
    view = await source.capture.pinFullView()
  })

  afterAll(async () => {
    await source.close()
    db.close()
    rmSync(folder, { recursive: true })
  })

  const full = () => {
    const stamp = { timestamp: 1000, nodeId: 1n, bootId: 1 }
    return fullFile(source, view, { minTxid: txid(1), maxTxid: txid(5) }, stamp)
  }

  it('has the same bytes and checksums each time, and those of an encoder without threads', async () => {
    expect(encoderThreadsFor(view.commit * PAGE_SIZE) > 0).toBe(availableParallelism() > 1)
    expect(view.pages?.size).toBeGreaterThan(50)
    const file = full()
    const bytes = await bytesOf(file)
    const sums = file.sums()!
    expect((await bytesOf(file)).equals(bytes)).toBe(true)
    const { header, pages } = decodeLtx(bytes)
    expect(pages.length).toBe(view.commit)
    const checksums = { before: undefined, after: sums.value }
    expect(Buffer.from(encodeLtx(header, pages, { checksums })).equals(bytes)).toBe(true)
  })
})

async function bytesOf(file: PutSource): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of file.open()) chunks.push(chunk)
  return Buffer.concat(chunks)
}
