import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { planFor } from '../../../src/core/restore/restore-attempts.ts'
import { findStateTime, resolveTime } from '../../../src/core/restore/restore-time.ts'
import { growingStates, headerOf, level0, putChain, timeOfTxid } from './chain.ts'
import { CountingStore, notFound } from './store-wrappers.ts'

const PAGE_SIZE = 1024
const page = { pgno: 1, data: new Uint8Array(PAGE_SIZE) }

/** A store without listed times and one tiny file for each TXID. */
async function storeOf(count: number): Promise<{ store: CountingStore; client: ReplicaClient }> {
  const store = new CountingStore()
  const client = new ReplicaClient(store, 'hex')
  for (const file of level0(1, count)) {
    const body = encodeLtx(headerOf(file, PAGE_SIZE, 1), [page])
    await client.put(0, txid(file.min), txid(file.max), body, { createdAt: timeOfTxid(file.max) })
  }
  return { store, client }
}

describe('resolveTime', () => {
  it('finds every TXID by few headers of 100 bytes', async () => {
    const { store, client } = await storeOf(300)
    const files = await client.list()
    expect(files[0]?.createdAt).toBeUndefined()
    for (let n = 1; n <= 300; n += 7) {
      for (const [offset, wanted] of [
        [0, n],
        [0.5, n],
        [-0.001, n - 1],
      ] as const) {
        if (wanted === 0) continue
        store.gets.length = 0
        const point = await resolveTime(client, files, timeOfTxid(n + offset))
        expect(point).toMatchObject({ txid: BigInt(wanted), time: timeOfTxid(wanted) })
        expect(store.gets.length).toBeLessThanOrEqual(26)
        expect(store.gets.every(({ bytes }) => bytes === 100)).toBe(true)
      }
    }
  })

  it('needs two reads where the store stamps objects when they are made', async () => {
    const { store, client } = await storeOf(300)
    const files = (await client.list()).map((file) => ({
      ...file,
      lastModified: new Date(timeOfTxid(Number(file.maxTxid)).getTime() + 900),
    }))
    store.gets.length = 0
    expect((await resolveTime(client, files, timeOfTxid(123.4))).txid).toBe(123n)
    expect(store.gets).toHaveLength(2)
  })

  it('before the first file is not reachable', async () => {
    const { client } = await storeOf(3)
    const resolving = resolveTime(client, await client.list(), timeOfTxid(0.9))
    await expect(resolving).rejects.toMatchObject({ code: 'TargetNotReachable' })
  })

  it('does not guess around a header that cannot be read', async () => {
    const { store, client } = await storeOf(3)
    const files = await client.list()
    const key = files[1]?.key as string
    await store.put(key, new Uint8Array(files[1]?.size as number))
    const restoring = restoreReplica(client, { kind: 'time', time: timeOfTxid(2) }, '/tmp/never.db')
    await expect(restoring).rejects.toMatchObject({ code: 'DamagedObject', key })
  })
})

describe('planFor on a store without listed times', () => {
  it('plans and restores a time, with one listing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'walsync-time-'))
    try {
      const states = growingStates(9, PAGE_SIZE)
      const store = new CountingStore()
      const client = new ReplicaClient(store, 'hex')
      await putChain(client, states, PAGE_SIZE, [...level0(1, 9), { level: 9, min: 1, max: 4 }])
      const target = { kind: 'time', time: timeOfTxid(6.5) } as const
      const plan = await planFor(client, target)
      expect(plan).toMatchObject({ target, txid: 6n, time: timeOfTxid(6) })
      expect(store.lists).toBe(1)

      const output = join(folder, 'app.db')
      const result = await restoreReplica(client, target, output)
      expect(readFileSync(output).equals(states[5] as Buffer)).toBe(true)
      expect(result.time).toEqual(timeOfTxid(6))
      expect(store.lists).toBe(2)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('reads the time of the latest state from its header', async () => {
    const { store, client } = await storeOf(5)
    store.gets.length = 0
    expect((await planFor(client, { kind: 'latest' })).time).toEqual(timeOfTxid(5))
    expect(store.gets).toHaveLength(1)
  })

  it('lists again when a file vanishes, and gives up when files keep vanishing', async () => {
    const { store, client } = await storeOf(5)
    const { get } = store
    let failures = 1
    store.get = (key, options) => {
      if (failures-- > 0) throw notFound(key)
      return get.call(store, key, options)
    }
    expect((await planFor(client, { kind: 'latest' })).txid).toBe(5n)
    expect(store.lists).toBe(2)
    failures = 100
    await expect(planFor(client, { kind: 'latest' })).rejects.toMatchObject({
      code: 'MissingObject',
    })
  })
})

describe('the time of a state', () => {
  it('is the same in a listing, a plan and a restore, even if only a later snapshot is read', async () => {
    const { store, client } = await storeOf(3)
    const later = new Date(timeOfTxid(3).getTime() + 3_600_000)
    const file = { level: 9, min: 1, max: 3 }
    const header = { ...headerOf(file, PAGE_SIZE, 1), timestamp: later.getTime() }
    await client.put(9, txid(1), txid(3), encodeLtx(header, [page]), { createdAt: later })
    const files = await client.list()
    expect(await findStateTime(client, files, txid(3))).toEqual(timeOfTxid(3))
    const plan = await planFor(client, { kind: 'latest' })
    expect(plan.files.map(({ level }) => level)).toEqual([9])
    expect(plan.time).toEqual(timeOfTxid(3))
    const folder = mkdtempSync(join(tmpdir(), 'walsync-state-time-'))
    try {
      const target = { kind: 'latest' } as const
      const options = { integrityCheck: 'none' } as const
      const { time } = await restoreReplica(client, target, join(folder, 'out.db'), options)
      expect(time).toEqual(timeOfTxid(3))
      await store.delete(files.find(({ level, maxTxid }) => level === 0 && maxTxid === 3n)!.key)
      const again = await restoreReplica(client, target, join(folder, 'again.db'), options)
      expect(again.time).toEqual(later)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
