import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { mapParallel } from '../../../src/core/async/map-parallel.ts'
import { txid } from '../../../src/core/ltx/index.ts'
import { listReplicas } from '../../../src/core/replica/list-replicas.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import { ltxKey } from '../../../src/core/replica/replica-layout.ts'
import { summarizeReplica } from '../../../src/core/replica/summarize-replica.ts'

async function storeWith(keys: readonly string[]): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore()
  for (const key of keys) await store.put(key, new Uint8Array(1))
  return store
}

describe.each(['ltx', 'hex'] as const)('listReplicas with the layout %s', (layout) => {
  const snapshot = ltxKey(layout, 9, txid(1), txid(2))
  const first = ltxKey(layout, 0, txid(1), txid(1))

  it('finds replicas at the top, up to four folders deep, and below others', async () => {
    const store = await storeWith([
      `zebra/${first}`,
      `app/${snapshot}`,
      `app/${first}`,
      `my=20app/${first}`,
      `team/one/${first}`,
      `team/two/${snapshot}`,
      `team/notes/readme.txt`,
      `deep/er/still/${first}`,
      `deep/er/still/four/${first}`,
      `deep/er/still/four/five/${first}`,
      `app/walsync/epochs/1.claim`,
      `app/of/a/tenant/${first}`,
      `app-2/${first}`,
      'other/file.bin',
      'loose.txt',
    ])
    expect(await listReplicas(store, layout)).toEqual([
      'app-2',
      'app',
      'app/of/a/tenant',
      'deep/er/still',
      'deep/er/still/four',
      'my=20app',
      'team/one',
      'team/two',
      'zebra',
    ])
  })

  it('returns the empty name for a root that is a replica itself', async () => {
    const store = await storeWith([first, snapshot, `beside/${first}`])
    expect(await listReplicas(store, layout)).toEqual(['', 'beside'])
  })

  it('finds a replica that was copied from a store with the other layout', async () => {
    const other = layout === 'ltx' ? 'hex' : 'ltx'
    const copied = ltxKey(other, 0, txid(1), txid(1))
    const store = await storeWith([
      `app/${copied}`,
      `app/inner/${first}`,
      `${layout === 'ltx' ? '0001' : 'ltx'}/${first}`,
      layout === 'ltx' ? '0003/other.bin' : 'ltx/3/other.bin',
    ])
    const named = layout === 'ltx' ? ['0001', 'app', 'app/inner'] : ['app', 'app/inner', 'ltx']
    expect(await listReplicas(store, layout)).toEqual(named)
    expect(await listReplicas(await storeWith([copied]), layout)).toEqual([''])
  })

  it('of an empty store is empty', async () => {
    expect(await listReplicas(new MemoryObjectStore(), layout)).toEqual([])
  })
})

describe('listReplicas', () => {
  it('distinguishes a database named "ltx" from a replica at the root', async () => {
    const store = await storeWith([`ltx/${ltxKey('ltx', 0, txid(1), txid(1))}`])
    expect(await listReplicas(store, 'ltx')).toEqual(['ltx'])
  })
})

function fileOf(level: number, min: number, max: number, createdAt?: Date): LtxFileInfo {
  const key = ltxKey('ltx', level, txid(min), txid(max))
  const lastModified = new Date(Date.UTC(2026, 0, 1, 0, max, 30))
  return { level, minTxid: txid(min), maxTxid: txid(max), key, size: 100, createdAt, lastModified }
}

describe('summarizeReplica', () => {
  it('of nothing', () => {
    expect(summarizeReplica([])).toEqual({
      files: 0,
      snapshots: 0,
      bytes: 0,
      newestTxid: undefined,
      newestAt: undefined,
      restorable: undefined,
      gaps: [],
    })
  })

  it('counts files, and returns the range that a restore can reach', () => {
    const at = new Date('2026-11-24T18:00:00Z')
    const files = [
      fileOf(0, 7, 7),
      fileOf(0, 8, 8, at),
      fileOf(1, 1, 7),
      fileOf(9, 1, 5),
      fileOf(9, 1, 8, new Date(0)),
    ]
    expect(summarizeReplica(files)).toEqual({
      files: 5,
      snapshots: 2,
      bytes: 500,
      newestTxid: 8n,
      newestAt: at,
      restorable: { from: 5n, to: 8n },
      gaps: [],
    })
  })

  it("takes the store's own time where none is listed", () => {
    expect(summarizeReplica([fileOf(0, 1, 1)]).newestAt).toEqual(new Date('2026-01-01T00:01:30Z'))
  })

  it('names every gap, and ends the range before the first', () => {
    const files = [fileOf(0, 1, 2), fileOf(0, 5, 5), fileOf(0, 6, 6), fileOf(0, 9, 9)]
    expect(summarizeReplica(files)).toMatchObject({
      restorable: { from: 2n, to: 2n },
      gaps: [
        { from: 3n, to: 4n },
        { from: 7n, to: 8n },
      ],
      newestTxid: 9n,
    })
  })

  it('without a base there is a gap from TXID 1 and nothing to restore', () => {
    expect(summarizeReplica([fileOf(0, 3, 3), fileOf(9, 2, 4)])).toMatchObject({
      snapshots: 0,
      restorable: undefined,
      gaps: [{ from: 1n, to: 1n }],
    })
  })
})

describe('mapParallel', () => {
  it('keeps the order and the limit', async () => {
    let [running, most] = [0, 0]
    const results = await mapParallel([5, 1, 4, 2, 3, 0], 2, async (n, index) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, n))
      running--
      return [n, index]
    })
    expect(results).toEqual([
      [5, 0],
      [1, 1],
      [4, 2],
      [2, 3],
      [3, 4],
      [0, 5],
    ])
    expect(most).toBe(2)
  })

  it('starts nothing after a failure, and waits for what is running', async () => {
    const started: number[] = []
    let finished = false
    const mapping = mapParallel([0, 1, 2, 3], 2, async (n) => {
      started.push(n)
      if (n === 0) throw new Error('no')
      await new Promise((resolve) => setTimeout(resolve, 20))
      finished = true
    })
    await expect(mapping).rejects.toThrow('no')
    expect(started).toEqual([0, 1])
    expect(finished).toBe(true)
  })
})
