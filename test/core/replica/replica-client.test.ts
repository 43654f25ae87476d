import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import type { StoreCapabilities } from '../../../src/core/store/index.ts'
import { makeHeader } from '../ltx/ltx-samples.ts'

const createdAt = new Date('2026-11-24T18:00:00.123Z')

function ltxOf(min: number, max: number): Uint8Array {
  const header = makeHeader({
    minTxid: txid(min),
    maxTxid: txid(max),
    timestamp: createdAt.getTime(),
  })
  return encodeLtx(header, [{ pgno: 1, data: new Uint8Array(512).fill(7) }])
}

const put = (
  client: ReplicaClient,
  level: number,
  min: number,
  max: number,
): Promise<LtxFileInfo> => client.put(level, txid(min), txid(max), ltxOf(min, max), { createdAt })

async function read(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

describe.each(['ltx', 'hex'] as const)('ReplicaClient with the layout %s', (layout) => {
  it('lists by level and TXIDs, and skips objects that are not LTX files', async () => {
    const store = new MemoryObjectStore()
    const client = new ReplicaClient(store, layout)
    for (const [level, min, max] of [
      [9, 1, 2],
      [0, 10, 10],
      [0, 2, 2],
      [1, 1, 5],
      [1, 1, 3],
    ] as const) {
      await put(client, level, min, max)
    }
    const hostile = [
      'ltx/0/0000000000000001-0000000000000001.ltx.tmp',
      'ltx/0/0000000000000000-0000000000000001.ltx',
      'ltx/12/0000000000000001-0000000000000001.ltx',
      'generations/0123456789abcdef/snapshots/00000000.snapshot.lz4',
      'lock.json',
      'walsync/lease.json',
      '000a/0000000000000001-0000000000000001.ltx',
      'nested/ltx/0/0000000000000001-0000000000000001.ltx',
      'nested/0000/0000000000000001-0000000000000001.ltx',
    ]
    for (const key of hostile) await store.put(key, ltxOf(1, 1))
    const files = await client.list()
    expect(files.map(({ level, minTxid, maxTxid }) => [level, minTxid, maxTxid])).toEqual([
      [0, 2n, 2n],
      [0, 10n, 10n],
      [1, 1n, 3n],
      [1, 1n, 5n],
      [9, 1n, 2n],
    ])
    expect(files[0]).toMatchObject({ size: ltxOf(2, 2).length, createdAt })
  })

  it('puts only what is not there', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), layout)
    const file = await put(client, 0, 1, 1)
    expect(await client.head(0, txid(1), txid(1))).toMatchObject({
      ...file,
      lastModified: expect.any(Date),
    })
    expect(await client.head(0, txid(2), txid(2))).toBeUndefined()
    await expect(put(client, 0, 1, 1)).rejects.toMatchObject({ code: 'AlreadyExists' })
  })

  it('reads headers, whole files and ranges', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), layout)
    const file = await put(client, 0, 3, 3)
    expect(await client.readHeader(file)).toMatchObject({
      minTxid: 3n,
      timestamp: createdAt.getTime(),
    })
    const bytes = Buffer.from(ltxOf(3, 3))
    expect((await read(client.open(file))).equals(bytes)).toBe(true)
    const part = await read(client.open(file, { range: { start: 10, end: 30 } }))
    expect(part.equals(bytes.subarray(10, 30))).toBe(true)
  })

  it('deletes, and takes a missing file for deleted', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), layout)
    const file = await put(client, 0, 1, 1)
    expect(await client.delete([file])).toEqual([])
    expect(await client.delete([file])).toEqual([])
    expect(await client.list()).toEqual([])
  })
})

describe('objects that are not what the listing says', () => {
  it('gone: MissingObject', async () => {
    const client = new ReplicaClient(new MemoryObjectStore(), 'ltx')
    const file = await put(client, 0, 1, 1)
    await client.delete([file])
    await expect(read(client.open(file))).rejects.toMatchObject({
      code: 'MissingObject',
      key: file.key,
    })
    await expect(client.readHeader(file)).rejects.toMatchObject({ code: 'MissingObject' })
  })

  it('of another size: ObjectChanged', async () => {
    const store = new MemoryObjectStore()
    const client = new ReplicaClient(store, 'ltx')
    const file = await put(client, 0, 1, 1)
    for (const size of [1, file.size - 1, file.size + 1]) {
      await store.put(file.key, new Uint8Array(size))
      await expect(read(client.open(file))).rejects.toMatchObject({ code: 'ObjectChanged' })
      const range = { start: 50, end: 60 }
      await expect(read(client.open(file, { range }))).rejects.toMatchObject({
        code: 'ObjectChanged',
      })
    }
  })

  it('no header, too short, or another name: DamagedObject', async () => {
    const store = new MemoryObjectStore()
    const client = new ReplicaClient(store, 'ltx')
    const file = await put(client, 0, 1, 1)
    await store.put(file.key, new Uint8Array(file.size))
    await expect(client.readHeader(file)).rejects.toMatchObject({
      code: 'DamagedObject',
      key: file.key,
    })
    await expect(client.readHeader({ ...file, size: 99 })).rejects.toMatchObject({
      code: 'DamagedObject',
    })
    await store.put(file.key, ltxOf(2, 2))
    await expect(client.readHeader(file)).rejects.toThrow('0000000000000002 to 0000000000000002')
  })

  it('an answer that overlooks the range: ObjectChanged', async () => {
    const store = new MemoryObjectStore()
    const client = new ReplicaClient(store, 'ltx')
    const file = await put(client, 0, 1, 1)
    const get = store.get.bind(store)
    store.get = (key, options) => get(key, { ...options, range: undefined })
    await expect(client.readHeader(file)).rejects.toMatchObject({ code: 'ObjectChanged' })
  })
})

describe('a store without create-only puts', () => {
  class PlainStore extends MemoryObjectStore {
    override get capabilities(): StoreCapabilities {
      return { ...super.capabilities, ifAbsent: 'none' }
    }
  }

  it('is looked at first, so that nothing is replaced by one writer', async () => {
    const client = new ReplicaClient(new PlainStore(), 'ltx')
    await put(client, 0, 1, 1)
    await expect(put(client, 0, 1, 1)).rejects.toMatchObject({ code: 'AlreadyExists' })
    expect((await put(client, 0, 2, 2)).createdAt).toEqual(createdAt)
  })
})
