import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { CompactionError } from '../../../src/core/compaction/diagnose-failure.ts'
import type { CompactionStep } from '../../../src/core/compaction/plan-compaction.ts'
import { runCompaction } from '../../../src/core/compaction/run-compaction.ts'
import {
  CHECKSUM_FLAG,
  decodeLtx,
  encodeLtx,
  FLAG_NO_CHECKSUM,
  type LtxHeader,
  txid,
} from '../../../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import {
  type GetOptions,
  type GetResult,
  type ObjectStore,
  ObservedStore,
  StoreError,
} from '../../../src/core/store/index.ts'
import { filled, golden, makeHeader, noise } from '../ltx/ltx-samples.ts'
import { growingStates, level0, ltxBetween, putChain, timeOfTxid } from '../restore/chain.ts'

const PAGE_SIZE = 1024
const states = growingStates(20, PAGE_SIZE)
const options = { signal: new AbortController().signal, nodeId: 77n }

function newClient(store: ObjectStore = new MemoryObjectStore()): ReplicaClient {
  return new ReplicaClient(store, 'ltx')
}

function stepOf(level: number, files: readonly LtxFileInfo[]): CompactionStep {
  const { minTxid } = files[0] as LtxFileInfo
  const { maxTxid } = files.at(-1) as LtxFileInfo
  return { level, files, minTxid, maxTxid, bytes: 0, dueAt: 0 }
}

async function levelFiles(client: ReplicaClient, level: number): Promise<LtxFileInfo[]> {
  return (await client.list()).filter((file) => file.level === level)
}

async function bytesOf(client: ReplicaClient, file: LtxFileInfo): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of client.open(file)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Stores one file as it is. */
async function put(client: ReplicaClient, bytes: Uint8Array): Promise<LtxFileInfo> {
  const { minTxid, maxTxid, timestamp } = decodeLtx(bytes).header
  return await client.put(0, minTxid, maxTxid, bytes, { createdAt: new Date(timestamp) })
}

/** An increment of TXID `n` with 512-byte pages. */
function increment(n: number, commit: number, pgnos: readonly number[]): Uint8Array {
  const header = makeHeader({ minTxid: txid(n), maxTxid: txid(n), commit, timestamp: 5000 + n })
  return encodeLtx(
    header,
    pgnos.map((pgno) => filled(pgno, n)),
  )
}

/** An increment to four pages that notes checksums of the database before and after it. */
function noted(n: number, pgnos: readonly number[], before: bigint | undefined, after: bigint) {
  const header = makeHeader({ minTxid: txid(n), maxTxid: txid(n), commit: 4, timestamp: 5000 + n })
  const pages = pgnos.map((pgno) => filled(pgno, n))
  const flagged = before === undefined ? undefined : CHECKSUM_FLAG | before
  return encodeLtx(header, pages, { checksums: { before: flagged, after: CHECKSUM_FLAG | after } })
}

async function failure(work: Promise<unknown>): Promise<CompactionError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(CompactionError)
  return error as CompactionError
}

describe('runCompaction', () => {
  it.each(['memory', 'file'])(
    '%s: restores to the same as its inputs, at every end',
    async (kind) => {
      const folder = mkdtempSync(join(tmpdir(), 'walsync compaction-'))
      try {
        const client = newClient(
          kind === 'file' ? new FileObjectStore({ root: join(folder, 'store') }) : undefined,
        )
        await putChain(client, states, PAGE_SIZE, level0(1, 20))
        const [, ...sources] = await client.list()
        for (const [from, to] of [
          [0, 7],
          [7, 12],
          [12, 19],
        ] as const) {
          const [made] = await runCompaction(client, stepOf(1, sources.slice(from, to)), options)
          expect(made).toMatchObject({
            level: 1,
            minTxid: BigInt(from + 2),
            maxTxid: BigInt(to + 1),
          })
          expect(made?.createdAt).toEqual(timeOfTxid(to + 1))
        }
        const merged = await levelFiles(client, 1)
        await runCompaction(client, stepOf(2, merged.slice(0, 2)), options)
        await client.delete([...sources, ...merged.slice(0, 2)])
        for (const end of [1, 13, 20]) {
          const output = join(folder, `${end}.db`)
          await restoreReplica(client, { kind: 'txid', txid: txid(end) }, output)
          expect(readFileSync(output).equals(states[end - 1] as Buffer)).toBe(true)
        }
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )

  it('records who merged, and has the time of the last transaction', async () => {
    const client = newClient()
    await putChain(client, states, PAGE_SIZE, level0(2, 5))
    const [made] = await runCompaction(client, stepOf(3, await client.list()), options)
    const { header } = decodeLtx(await bytesOf(client, made as LtxFileInfo))
    expect(header).toMatchObject({
      nodeId: 77n,
      timestamp: timeOfTxid(5).getTime(),
      minTxid: 2n,
      maxTxid: 5n,
      flags: FLAG_NO_CHECKSUM,
      walOffset: 0,
    })
    expect((await client.list()).find(({ level }) => level === 3)).toEqual({
      ...made,
      lastModified: expect.any(Date),
    })
  })

  it('costs one read an input and one write', async () => {
    const store = new ObservedStore(new MemoryObjectStore())
    const client = newClient(store)
    await putChain(client, states, PAGE_SIZE, level0(2, 20))
    const files = await client.list()
    const before = store.calls
    await runCompaction(client, stepOf(1, files), options)
    const { get, put, ...others } = store.calls
    expect({ get: get - before.get, put: put - before.put }).toEqual({ get: 19, put: 1 })
    expect(others).toEqual({ check: 0, head: 0, list: before.list, delete: 0, deleteMany: 0 })
  })

  it('merges a file of Litestream in its old encoding with one of ours', async () => {
    const client = newClient()
    const theirs = await put(client, golden('frame', 'h-incremental-nochk'))
    const ours = await put(client, increment(3, 2, [2]))
    const [made] = await runCompaction(client, stepOf(1, [theirs, ours]), options)
    const { header, pages } = decodeLtx(await bytesOf(client, made as LtxFileInfo))
    expect(header).toMatchObject({ minTxid: 2n, maxTxid: 3n, commit: 2 })
    const [theirPage] = decodeLtx(golden('block', 'h-incremental-nochk')).pages
    expect(pages).toEqual([theirPage, filled(2, 3)])
  })

  it('reads large inputs piece by piece', async () => {
    const ranges: { key: string; bytes: number }[] = []
    class RangedStore extends MemoryObjectStore {
      override async get(key: string, options?: GetOptions): Promise<GetResult> {
        const result = await super.get(key, options)
        ranges.push({ key, bytes: result.range.end - result.range.start })
        return result
      }
    }
    const client = newClient(new RangedStore())
    const pages = Array.from({ length: 160 }, (_, i) => ({
      pgno: i + 1,
      data: noise(65536, i + 1),
    }))
    for (const n of [2, 3, 4, 5]) {
      const header: LtxHeader = makeHeader({
        pageSize: 65536,
        commit: 160,
        minTxid: txid(n),
        maxTxid: txid(n),
      })
      await put(client, encodeLtx(header, n === 5 ? pages.slice(0, 2) : pages))
    }
    const files = await client.list()
    const [made] = await runCompaction(client, stepOf(1, files), options)
    expect(made?.size).toBeGreaterThan(160 * 65536)
    for (const { key, size } of files) {
      const pieces = ranges.filter((range) => range.key === key).map(({ bytes }) => bytes)
      expect(pieces.reduce((sum, bytes) => sum + bytes, 0)).toBe(size)
      expect(Math.max(...pieces)).toBeLessThanOrEqual(4 << 20)
      expect(pieces).toHaveLength(Math.ceil(size / (4 << 20)))
    }
  })

  it('accepts a result that already exists as its own', async () => {
    const client = newClient()
    await putChain(client, states, PAGE_SIZE, level0(2, 5))
    const step = stepOf(1, await client.list())
    const first = await runCompaction(client, step, options)
    const again = await runCompaction(client, step, { ...options, nodeId: 78n })
    expect(again).toEqual([{ ...first[0], lastModified: expect.any(Date) }])
    const bytes = await bytesOf(client, again[0] as LtxFileInfo)
    expect(decodeLtx(bytes).header.nodeId).toBe(77n)
  })

  it('splits where the page size changes', async () => {
    const client = newClient()
    const files = [await put(client, increment(2, 1, [1])), await put(client, increment(3, 1, [1]))]
    for (const n of [4, 5, 6]) {
      const header = makeHeader({ pageSize: 1024, minTxid: txid(n), maxTxid: txid(n) })
      files.push(await put(client, encodeLtx(header, [filled(1, n, 1024)])))
    }
    const made = await runCompaction(client, stepOf(1, files), options)
    expect(made.map(({ minTxid, maxTxid }) => [minTxid, maxTxid])).toEqual([
      [2n, 3n],
      [4n, 6n],
    ])
    expect(await runCompaction(client, stepOf(1, files.slice(1, 3)), options)).toEqual([])
  })

  it('ends with the reason of an abort, and stores nothing', async () => {
    const controller = new AbortController()
    class SlowStore extends MemoryObjectStore {
      override async get(key: string, options?: GetOptions): Promise<GetResult> {
        if (key.endsWith('5.ltx')) controller.abort(new Error('enough'))
        return super.get(key, options)
      }
    }
    const client = newClient(new SlowStore())
    await putChain(client, states, PAGE_SIZE, level0(2, 9))
    const step = stepOf(1, await client.list())
    const work = runCompaction(client, step, { ...options, signal: controller.signal })
    await expect(work).rejects.toThrow('enough')
    expect(await levelFiles(client, 1)).toEqual([])
  })
})

describe('an input that prevents a merge', () => {
  /** Level-0 files of the TXIDs 2 to 6, of which 4 is not what it should be. */
  async function chainWith(change: (bytes: Uint8Array) => Uint8Array): Promise<{
    readonly client: ReplicaClient
    readonly files: LtxFileInfo[]
  }> {
    const client = newClient()
    for (let n = 2; n <= 6; n++) {
      const bytes = ltxBetween(states, PAGE_SIZE, { level: 0, min: n, max: n })
      const createdAt = timeOfTxid(n)
      await client.put(0, txid(n), txid(n), n === 4 ? change(bytes) : bytes, { createdAt })
    }
    return { client, files: await client.list() }
  }

  const flipped =
    (at: (length: number) => number) =>
    (bytes: Uint8Array): Uint8Array => {
      const copy = bytes.slice()
      copy[at(bytes.length)]! ^= 1
      return copy
    }

  it.each([
    ['in its header', flipped(() => 13)],
    ['in its pages', flipped((length) => length >> 1)],
    ['in its checksum', flipped((length) => length - 1)],
    ['at its end', (bytes: Uint8Array) => bytes.slice(0, -20)],
    ['because it is no LTX file', () => new TextEncoder().encode('x'.repeat(500))],
    ['because it is empty', () => new Uint8Array()],
    ['because it is another', () => ltxBetween(states, PAGE_SIZE, { level: 0, min: 7, max: 7 })],
  ])('is named when it is damaged %s, and nothing is stored', async (_, change) => {
    const { client, files } = await chainWith(change)
    const error = await failure(runCompaction(client, stepOf(1, files), options))
    expect(error).toMatchObject({
      code: 'DamagedObject',
      key: 'ltx/0/0000000000000004-0000000000000004.ltx',
      hint: expect.stringContaining('walsync verify'),
    })
    expect(error.message).toContain(error.key)
    expect(await levelFiles(client, 1)).toEqual([])
    expect(await levelFiles(client, 0)).toHaveLength(5)
  })

  it('is named as archived, not as damaged, when it is in an archive tier', async () => {
    const { client, files } = await chainWith((bytes) => bytes)
    const key = 'ltx/0/0000000000000004-0000000000000004.ltx'
    let asked = 0
    const { store } = client
    const get = store.get.bind(store)
    store.get = async (name, options) => {
      if (name !== key) return await get(name, options)
      asked++
      throw new StoreError('Unsupported', 'no', { op: 'get', key: name, archived: true })
    }
    const error = await failure(runCompaction(client, stepOf(1, files), options))
    expect(asked).toBeGreaterThan(0)
    expect(error).toMatchObject({
      code: 'ArchivedObject',
      key,
      hint: expect.stringContaining('archive tier'),
    })
    expect(await levelFiles(client, 1)).toEqual([])
  })

  it('is named when it is gone', async () => {
    const { client, files } = await chainWith((bytes) => bytes)
    await client.delete(files.slice(2, 3))
    expect(await failure(runCompaction(client, stepOf(1, files), options))).toMatchObject({
      code: 'MissingObject',
      key: 'ltx/0/0000000000000004-0000000000000004.ltx',
    })
  })

  it('is named when it lacks a page by which the database grew', async () => {
    const client = newClient()
    const files = [
      await put(client, golden('block', 'h-incremental-nochk')),
      await put(client, increment(3, 4, [2, 3, 4])),
      await put(client, increment(4, 2, [1])),
      await put(client, increment(5, 4, [4])),
      await put(client, increment(6, 4, [1])),
    ]
    expect(await failure(runCompaction(client, stepOf(1, files), options))).toMatchObject({
      code: 'MissingPage',
      key: 'ltx/0/0000000000000005-0000000000000005.ltx',
      message: expect.stringContaining('from 2 to 4 pages'),
    })
  })

  it('is named if it does not start from the state that the one before it ends with', async () => {
    const client = newClient()
    const files = [
      await put(client, noted(2, [1], 10n, 20n)),
      await put(client, noted(3, [2], 20n, 30n)),
      await put(client, noted(4, [1], 31n, 40n)),
    ]
    const error = await failure(runCompaction(client, stepOf(1, files), options))
    expect(error).toMatchObject({
      code: 'ChecksumMismatch',
      key: 'ltx/0/0000000000000004-0000000000000004.ltx',
      hint: expect.stringContaining('walsync repair'),
    })
    expect(error.message).toBe(
      'The object ltx/0/0000000000000004-0000000000000004.ltx does not start from the state of the database that ltx/0/0000000000000003-0000000000000003.ltx, the object before it, ends with.',
    )
    expect(await levelFiles(client, 1)).toEqual([])
  })

  it('is not named where a whole copy follows, or one side says nothing', async () => {
    for (const last of [noted(4, [1, 2, 3, 4], 31n, 40n), noted(4, [1], undefined, 40n)]) {
      const client = newClient()
      const files = [
        await put(client, noted(3, [2], 20n, 30n)),
        await put(client, last),
        await put(client, increment(5, 4, [2])),
      ]
      expect(await runCompaction(client, stepOf(1, files), options)).toHaveLength(1)
    }
  })

  it('is the last of a snapshot whose pages are another database than that one notes', async () => {
    const client = newClient()
    const files = [
      await put(client, noted(1, [1, 2, 3, 4], undefined, 20n)),
      await put(client, noted(2, [2], 20n, 30n)),
    ]
    const error = await failure(runCompaction(client, stepOf(9, files), options))
    expect(error).toMatchObject({
      code: 'ChecksumMismatch',
      key: 'ltx/0/0000000000000002-0000000000000002.ltx',
      cause: expect.anything(),
    })
    expect(error.message).toContain('belongs to another history')
    expect(await levelFiles(client, 9)).toEqual([])
  })

  it('is named when the result would be an empty database', async () => {
    const client = newClient()
    const empty = makeHeader({
      flags: 0,
      commit: 0,
      minTxid: txid(3),
      maxTxid: txid(3),
      preApplyChecksum: CHECKSUM_FLAG | 1n,
    })
    const files = [
      await put(client, increment(2, 1, [1])),
      await put(client, encodeLtx(empty, [], { postApplyChecksum: CHECKSUM_FLAG })),
    ]
    expect(await failure(runCompaction(client, stepOf(1, files), options))).toMatchObject({
      code: 'Unmergeable',
      key: 'ltx/0/0000000000000003-0000000000000003.ltx',
    })
  })

  it('is named if its time is invalid', async () => {
    const client = newClient()
    const header = makeHeader({ minTxid: txid(3), maxTxid: txid(3), timestamp: 9e15 })
    const createdAt = new Date(7000)
    const last = encodeLtx(header, [filled(1, 3)])
    const files = [
      await put(client, increment(2, 1, [1])),
      await client.put(0, txid(3), txid(3), last, { createdAt }),
    ]
    expect(await failure(runCompaction(client, stepOf(1, files), options))).toMatchObject({
      code: 'Unmergeable',
      key: 'ltx/0/0000000000000003-0000000000000003.ltx',
    })
  })

  it('is not blamed for an error that happened once in transit', async () => {
    let reads = 0
    class FlakyStore extends MemoryObjectStore {
      override async get(key: string, options?: GetOptions): Promise<GetResult> {
        const result = await super.get(key, options)
        if (!key.includes('4-') || reads++ > 0) return result
        return { ...result, body: broken(result.body) }
      }
    }
    async function* broken(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) yield flipped((length) => length >> 1)(chunk)
    }
    const client = newClient(new FlakyStore())
    await putChain(client, states, PAGE_SIZE, level0(2, 6))
    const step = stepOf(1, await client.list())
    const error: unknown = await runCompaction(client, step, options).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(StoreError)
    expect(await runCompaction(client, step, options)).toHaveLength(1)
  })

  it('leaves an error of the store what it is', async () => {
    class AwayStore extends MemoryObjectStore {
      override async get(key: string): Promise<GetResult> {
        throw new StoreError('Unavailable', 'away', { op: 'get', key })
      }
    }
    const client = newClient(new AwayStore())
    await putChain(client, states, PAGE_SIZE, level0(2, 4))
    const work = runCompaction(client, stepOf(1, await client.list()), options)
    await expect(work).rejects.toMatchObject({ code: 'Unavailable' })
  })
})
