import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { LTX_HEADER_SIZE } from '../../../src/core/ltx/index.ts'
import { PAGE_HEADER_SIZE, PAGE_LENGTH_SIZE } from '../../../src/core/ltx/page-frame.ts'
import { type LtxFileInfo, ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { type RestoreOptions, restoreReplica } from '../../../src/core/restore/restore.ts'
import { RestoreError } from '../../../src/core/restore/restore-error.ts'
import { SEGMENT_BYTES } from '../../../src/core/restore/segment-reader.ts'
import { readAll } from '../../../src/core/store/bytes.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { whereNoThreadStarts } from '../../support/no-threads.ts'
import { until } from '../../support/until.ts'
import { databaseStates, level0, putChain } from './chain.ts'

const PAGE_SIZE = 4096
const LATEST = { kind: 'latest' } as const

/** Large enough for many ranges: a full copy of 6 MB that compresses badly, and changes all over it. */
const states = databaseStates(
  [
    (database) =>
      database.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000)
        INSERT INTO t SELECT i, CAST(randomblob(1500) || zeroblob(1500) AS BLOB) FROM n`),
    (database) => database.exec('UPDATE t SET x = randomblob(2900) WHERE id % 10 = 3'),
    (database) => database.exec('DELETE FROM t WHERE id > 1500; VACUUM'),
    (database) => database.exec('UPDATE t SET x = randomblob(2800) WHERE id % 7 = 3'),
  ],
  PAGE_SIZE,
)
const newest = states[3] as Buffer

const root = mkdtempSync(join(tmpdir(), 'walsync-decode-threads-'))
let client: ReplicaClient
let output: string
const post = vi.spyOn(Worker.prototype, 'postMessage')

beforeAll(async () => {
  client = new ReplicaClient(new FileObjectStore({ root: join(root, 'replica') }), 'ltx')
  await putChain(client, states, PAGE_SIZE, level0(1, 4))
})
beforeEach(() => {
  output = join(mkdtempSync(join(root, 'output-')), 'app.db')
})
afterEach(() => post.mockClear())
afterAll(() => {
  post.mockRestore()
  rmSync(root, { recursive: true })
})

async function restored(options: RestoreOptions): Promise<Buffer> {
  const { filesRead } = await restoreReplica(client, LATEST, output, options)
  expect(filesRead).toBe(4)
  return readFileSync(output)
}

const isLinux = process.platform === 'linux'
const threadsOfProcess = () => readdirSync('/proc/self/task').length

describe('a restore that decodes in threads', () => {
  it.each([0, 1, 2, 3])('restores the same with %i threads', async (threads) => {
    expect((await restored({ threads })).equals(newest)).toBe(true)
    if (threads === 0) expect(post).not.toHaveBeenCalled()
    else expect(post.mock.calls.length).toBeGreaterThan(3)
  })

  it('starts over without threads if one ends', async () => {
    let ended = 0
    post.mockImplementation(function (this: Worker) {
      ended += 1
      void this.terminate()
    })
    const reads: number[] = []
    try {
      const onProgress = ({ bytesDone }: { bytesDone: number }) => reads.push(bytesDone)
      expect((await restored({ threads: 2, onProgress })).equals(newest)).toBe(true)
    } finally {
      post.mockReset()
    }
    expect(ended).toBeGreaterThan(0)
    expect(reads.lastIndexOf(0)).toBeGreaterThan(0)
  })

  it('does without threads where a limit allows none', async () => {
    const refused = await whereNoThreadStarts(async () => {
      const limited = await import('../../../src/core/restore/restore.ts')
      await limited.restoreReplica(client, LATEST, output, { threads: 2 })
    })
    expect(refused).toBe(1)
    expect(readFileSync(output).equals(newest)).toBe(true)
  })

  it('reports a damaged page as a restore without threads does', async () => {
    const damaged = await damagedReplica()
    const failures: unknown[] = []
    for (const threads of [0, 2]) {
      const restoring = restoreReplica(damaged.client, LATEST, output, { threads })
      failures.push(await restoring.catch((error: unknown) => error))
      expect(readdirSync(join(output, '..'))).toEqual([])
    }
    const [without, withThreads] = failures as RestoreError[]
    expect(without).toBeInstanceOf(RestoreError)
    expect(without).toMatchObject({ code: 'DamagedObject', key: damaged.key })
    expect(withThreads).toEqual(without)
    expect(withThreads!.message).toBe(without!.message)
  })

  it.each([0, 2])(
    'reports a damaged page before what the store says of later bytes, with %i threads',
    async (threads) => {
      const damaged = await damagedReplica(SEGMENT_BYTES - 20_000)
      const read = damaged.client.read.bind(damaged.client)
      let failed = 0
      vi.spyOn(damaged.client, 'read').mockImplementation(async (file, options) => {
        if (file.key === damaged.key && options?.range?.start === SEGMENT_BYTES) {
          failed += 1
          throw new StoreError('PermissionDenied', 'No.', { op: 'get', key: file.key })
        }
        return read(file, options)
      })
      await expect(
        restoreReplica(damaged.client, LATEST, output, { threads }),
      ).rejects.toMatchObject({ code: 'DamagedObject', key: damaged.key })
      expect(failed).toBe(1)
    },
  )

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses %d as a number of threads',
    async (threads) => {
      await expect(restoreReplica(client, LATEST, output, { threads })).rejects.toThrow(RangeError)
    },
  )

  it.skipIf(process.getuid?.() !== 0)(
    'says that a disk is full (needs root, for a small tmpfs), and leaves nothing',
    async (context) => {
      const disk = join(output, '..', 'disk')
      mkdirSync(disk)
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'pipe' })
      } catch {
        context.skip('no permission to mount a tmpfs')
      }
      try {
        const restoring = restoreReplica(client, LATEST, join(disk, 'app.db'), { threads: 2 })
        await expect(restoring).rejects.toMatchObject({ code: 'NoSpace' })
        expect(post.mock.calls.length).toBeGreaterThan(3)
        expect(readdirSync(disk)).toEqual([])
      } finally {
        execFileSync('umount', [disk])
      }
    },
  )

  it.runIf(isLinux)('ends its threads when it is aborted, and leaves nothing', async () => {
    const before = threadsOfProcess()
    const stop = new AbortController()
    let during = 0
    const onProgress = ({ filesDone }: { filesDone: number }) => {
      if (filesDone < 2) return
      during = Math.max(during, threadsOfProcess())
      stop.abort(new Error('enough'))
    }
    const options = { threads: 3, onProgress, signal: stop.signal }
    await expect(restoreReplica(client, LATEST, output, options)).rejects.toThrow('enough')
    expect(during).toBeGreaterThanOrEqual(before + 3)
    await until(() => threadsOfProcess() <= during - 3)
    expect(readdirSync(join(output, '..'))).toEqual([])
  })
})

/** A copy of the replica in whose full copy the page before this byte cannot be decompressed. */
async function damagedReplica(
  before = SEGMENT_BYTES / 2,
): Promise<{ client: ReplicaClient; key: string }> {
  const store = new FileObjectStore({ root: mkdtempSync(join(root, 'damaged-')) })
  const copy = new ReplicaClient(store, 'ltx')
  await putChain(copy, states, PAGE_SIZE, level0(1, 4))
  const first = (await copy.list()).find(({ maxTxid }) => maxTxid === 1n) as LtxFileInfo
  const bytes = Buffer.from(await readAll((await store.get(first.key)).body))
  expect(bytes.length).toBeGreaterThan(SEGMENT_BYTES)
  let frame = LTX_HEADER_SIZE
  const next = () => frame + PAGE_HEADER_SIZE + PAGE_LENGTH_SIZE + bytes.readUInt32BE(frame + 6)
  while (next() < before) frame = next()
  // More literals than there are bytes.
  bytes.fill(0xff, frame + PAGE_HEADER_SIZE + PAGE_LENGTH_SIZE, frame + 50)
  await store.put(first.key, bytes)
  return { client: copy, key: first.key }
}
