import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { decodeLtx, encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { type GetResult, StoreError } from '../../../src/core/store/index.ts'
import { type VerifyMemory, verifyReplica } from '../../../src/core/verify/index.ts'
import {
  type ChainFile,
  growingStates,
  headerOf,
  level0,
  ltxBetween,
  putChain,
  START,
  timeOfTxid,
} from '../restore/chain.ts'
import { CountingStore, FailingStore, notFound } from '../restore/store-wrappers.ts'

const PAGE_SIZE = 512
const states = growingStates(8, PAGE_SIZE)

async function chain(
  files: readonly ChainFile[],
  store: MemoryObjectStore = new FailingStore(),
): Promise<{ readonly client: ReplicaClient; readonly store: FailingStore }> {
  const client = new ReplicaClient(store, 'ltx')
  await putChain(client, states, PAGE_SIZE, files)
  return { client, store: store as FailingStore }
}

const BASE: ChainFile = { level: 9, min: 1, max: 1 }
const key = (level: number, min: number, max = min): string => {
  const [from, to] = [min, max].map((n) => n.toString(16).padStart(16, '0'))
  return `ltx/${level}/${from}-${to}.ltx`
}

describe('verify quick', () => {
  it('reads no object, and claims nothing about what it has not read', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 5)])
    store.beforeGet = () => {
      throw new Error('an object was read')
    }
    const report = await verifyReplica(client, { depth: 'quick' })
    expect(report).toMatchObject({
      depth: 'quick',
      verdict: 'good',
      files: 5,
      filesRead: 0,
      bytesRead: 0,
      restorable: [{ from: 1n, to: 5n, states: 5, fromTime: timeOfTxid(1), toTime: timeOfTxid(5) }],
      goodUpTo: undefined,
    })
  })

  it('reads the times of states from headers on a store that does not list them', async () => {
    const store = new CountingStore()
    const { client } = await chain([BASE, ...level0(2, 5)], store)
    const report = await verifyReplica(client, { depth: 'quick' })
    expect(report).toMatchObject({
      restorable: [{ from: 1n, to: 5n, fromTime: timeOfTxid(1), toTime: timeOfTxid(5) }],
      latest: { txid: 5n, time: timeOfTxid(5), restorable: true },
    })
    expect(store.gets.map(({ bytes }) => bytes)).toEqual([100, 100])
  })

  it('names objects that are empty or smaller than any LTX file, with what they cost', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 6), { level: 1, min: 2, max: 3 }])
    await store.put(key(0, 2), new Uint8Array())
    await store.put(key(0, 5), new Uint8Array(130))
    const { verdict, defects, restorable } = await verifyReplica(client, { depth: 'quick' })
    expect(verdict).toBe('damaged')
    expect(defects).toMatchObject([
      { code: 'Empty', key: key(0, 2), cost: [{ from: 2n, to: 2n, states: 1 }] },
      { code: 'TooSmall', key: key(0, 5), cost: [{ from: 5n, to: 6n, states: 2 }] },
    ])
    expect(restorable).toMatchObject([
      { from: 1n, to: 1n },
      { from: 3n, to: 4n },
    ])
  })

  it('takes the smallest file that there can be for one', async () => {
    const { client } = await chain([BASE])
    const commit = (states[0] as Buffer).length / PAGE_SIZE
    const smallest = encodeLtx(headerOf({ level: 0, min: 2, max: 2 }, PAGE_SIZE, commit - 1), [])
    expect(smallest.length).toBe(131)
    await client.put(0, txid(2), txid(2), smallest, { createdAt: timeOfTxid(2) })
    expect(await verifyReplica(client, { depth: 'quick' })).toMatchObject({ verdict: 'good' })
    expect(await verifyReplica(client)).toMatchObject({ verdict: 'good' })
  })

  it('names gaps, and counts everything after the first one as lost', async () => {
    const { client } = await chain([BASE, ...level0(2, 3), ...level0(5, 5), ...level0(7, 8)])
    const report = await verifyReplica(client, { depth: 'quick' })
    expect(report).toMatchObject({
      verdict: 'damaged',
      defects: [
        { code: 'Gap', key: undefined, cost: [{ from: 4n, to: 8n, states: 3 }] },
        { code: 'Gap', key: undefined, cost: [{ from: 6n, to: 8n, states: 2 }] },
      ],
      restorable: [{ from: 1n, to: 3n, states: 3 }],
      lost: [{ from: 4n, to: 8n, states: 3, fromTime: timeOfTxid(5), toTime: timeOfTxid(8) }],
      latest: { txid: 8n, restorable: false },
    })
    expect(report.defects[0]?.message).toContain('holds TXID 4,')
  })

  it('names a replica without a beginning', async () => {
    const { client } = await chain(level0(3, 5))
    expect(await verifyReplica(client, { depth: 'quick' })).toMatchObject({
      verdict: 'damaged',
      defects: [{ code: 'NoBase', cost: [{ from: 1n, to: 5n }] }],
      restorable: [],
    })
    expect(await verifyReplica(client)).toMatchObject({ goodUpTo: undefined })
  })

  it('names an object inside another of its level, which costs nothing', async () => {
    const { client } = await chain([
      BASE,
      { level: 0, min: 2, max: 4 },
      { level: 0, min: 3, max: 3 },
      // Overlaps that go on, and snapshots, are as they should be.
      { level: 0, min: 4, max: 6 },
      { level: 9, min: 1, max: 4 },
    ])
    expect(await verifyReplica(client, { depth: 'quick' })).toMatchObject({
      verdict: 'degraded',
      defects: [{ code: 'Overlap', key: key(0, 3), cost: [] }],
      orphans: 1,
    })
  })

  it('counts an object that a second compaction made, and calls the replica good', async () => {
    const { client } = await chain([
      BASE,
      ...level0(2, 5),
      { level: 1, min: 2, max: 5 },
      { level: 1, min: 4, max: 5 },
    ])
    const good = { verdict: 'good', defects: [], redundant: 1 }
    expect(await verifyReplica(client, { depth: 'quick' })).toMatchObject(good)
    expect(await verifyReplica(client)).toMatchObject(good)
  })

  it('names an object inside another of its level that ends with another state', async () => {
    const { client } = await chain([BASE, { level: 1, min: 2, max: 5 }])
    const others = states.map((state, i) =>
      i === 4 ? Buffer.from(state).fill(7, 600, 700) : state,
    )
    await putChain(client, others, PAGE_SIZE, [{ level: 1, min: 4, max: 5 }])
    expect(await verifyReplica(client)).toMatchObject({
      verdict: 'degraded',
      defects: [{ code: 'Overlap', key: key(1, 4, 5), cost: [] }],
      redundant: 0,
    })
  })

  it('counts foreign objects in the level folders, and leaves all others alone', async () => {
    const { client, store } = await chain([BASE])
    for (const name of ['ltx/0/notes.txt', 'ltx/3/0000000000000002.ltx.tmp', 'ltx/9/x/y']) {
      await store.put(name, Buffer.from('x'))
    }
    for (const name of ['walsync/epochs/1.claim', 'ltx/10/x', 'readme', 'ltx/a']) {
      await store.put(name, Buffer.from('x'))
    }
    expect(await verifyReplica(client)).toMatchObject({ verdict: 'good', files: 1, foreign: 3 })
    const hex = new ReplicaClient(store, 'hex')
    await putChain(hex, states, PAGE_SIZE, [BASE])
    await store.put('0003/notes', Buffer.from('x'))
    expect(await verifyReplica(hex)).toMatchObject({ verdict: 'good', files: 1, foreign: 1 })
  })

  it('refuses a prefix without LTX files, as a restore does', async () => {
    const { client, store } = await chain([])
    await store.put('ltx/0/notes.txt', Buffer.from('x'))
    for (const depth of ['quick', 'full'] as const) {
      await expect(verifyReplica(client, { depth })).rejects.toMatchObject({ code: 'NoReplica' })
    }
  })
})

describe('verify full', () => {
  it('finds replicas of both encodings good', async () => {
    const { client } = await chain([BASE])
    for (const file of level0(2, 6)) {
      const { header, pages } = decodeLtx(ltxBetween(states, PAGE_SIZE, file))
      const encoding = file.min % 2 === 0 ? 'frame' : 'block'
      const body = encodeLtx(header, pages, { encoding })
      await client.put(0, txid(file.min), txid(file.max), body, {
        createdAt: timeOfTxid(file.max),
      })
    }
    expect(await verifyReplica(client)).toMatchObject({
      verdict: 'good',
      goodUpTo: { txid: 6n, time: timeOfTxid(6) },
    })
  })

  it('names a file that grows the database without all new pages, as a restore refuses it', async () => {
    const { client, store } = await chain([BASE])
    const commit = (states[0] as Buffer).length / PAGE_SIZE
    for (const n of [2, 3]) {
      const page = { pgno: commit + 2, data: new Uint8Array(PAGE_SIZE).fill(n) }
      const header = headerOf({ level: 0, min: n, max: n }, PAGE_SIZE, commit + 2)
      await store.put(key(0, n), encodeLtx(header, [page]), { createdAt: timeOfTxid(n) })
    }
    const report = await verifyReplica(client)
    expect(report).toMatchObject({
      verdict: 'damaged',
      defects: [{ code: 'MissingPages', key: key(0, 2), cost: [{ from: 2n, to: 3n }] }],
      goodUpTo: { txid: 1n },
    })
    const restoring = restoreReplica(client, { kind: 'txid', txid: txid(2) }, '/tmp/never.db')
    await expect(restoring).rejects.toMatchObject({ code: 'MissingPage' })
  })

  it('takes a merged file that begins inside a snapshot for what it is', async () => {
    const { client } = await chain([
      BASE,
      { level: 9, min: 1, max: 4 },
      { level: 2, min: 3, max: 5 },
    ])
    const report = await verifyReplica(client, { depth: 'full' })
    expect(report).toMatchObject({ verdict: 'good', defects: [], goodUpTo: { txid: 5n } })
  })

  it('names a change from another history, and what it costs', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 6)])
    const other = Buffer.from(states[2] as Buffer)
    other.fill(255, other.length - 5)
    await store.delete(key(0, 4))
    await putChain(client, states.with(2, other), PAGE_SIZE, [{ level: 0, min: 4, max: 4 }])
    const { verdict, defects, restorable } = await verifyReplica(client, { depth: 'full' })
    expect(verdict).toBe('damaged')
    // TXID 6 is a complete copy: VACUUM wrote every page.
    expect(defects).toMatchObject([
      { code: 'ChecksumMismatch', key: key(0, 4), cost: [{ from: 4n, to: 5n }] },
    ])
    expect(restorable).toMatchObject([
      { from: 1n, to: 3n },
      { from: 6n, to: 6n },
    ])
  })

  it('names a change of the page size that nothing bridges', async () => {
    const { client } = await chain([BASE])
    const large = growingStates(3, 1024)
    const file = { level: 0, min: 2, max: 2 }
    const body = encodeLtx(headerOf(file, 1024, 2), [
      { pgno: 2, data: (large[0] as Buffer).subarray(1024, 2048) },
    ])
    await client.put(0, txid(2), txid(2), body, { createdAt: timeOfTxid(2) })
    expect(await verifyReplica(client)).toMatchObject({
      verdict: 'damaged',
      defects: [{ code: 'PageSizeChange', key: key(0, 2), cost: [{ from: 2n, to: 2n }] }],
    })
    const restoring = restoreReplica(client, { kind: 'latest' }, '/tmp/never.db')
    await expect(restoring).rejects.toMatchObject({ code: 'PageSizeMismatch' })
  })

  it('names objects whose time is not that of their header, in one defect', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 4)])
    const now = new Date(START)
    for (const n of [2, 3]) {
      await store.put(key(0, n), ltxBetween(states, PAGE_SIZE, { level: 0, min: n, max: n }), {
        createdAt: now,
      })
    }
    const { verdict, defects } = await verifyReplica(client)
    expect(verdict).toBe('degraded')
    expect(defects).toMatchObject([{ code: 'WrongTime', key: key(0, 2), cost: [] }])
    expect(defects[0]?.message).toContain('2 objects')
  })

  it('takes times from headers where the store lists none', async () => {
    const { client, store } = await chain([BASE])
    await store.put(key(0, 2), ltxBetween(states, PAGE_SIZE, { level: 0, min: 2, max: 2 }))
    expect(await verifyReplica(client)).toMatchObject({
      verdict: 'good',
      latest: { txid: 2n, time: timeOfTxid(2) },
    })
  })

  it('reports how far it is', async () => {
    const { client } = await chain([BASE, ...level0(2, 4)])
    const seen: number[] = []
    const bytes = (await client.list()).reduce((sum, { size }) => sum + size, 0)
    const report = await verifyReplica(client, {
      onProgress: ({ bytesDone, bytesTotal }) => {
        expect(bytesTotal).toBe(bytes)
        seen.push(bytesDone)
      },
    })
    expect(report).toMatchObject({ verdict: 'good', bytes, bytesRead: bytes })
    expect(seen.at(-1)).toBe(bytes)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
  })

  it('does not read again what was good a moment ago, and does read what was not', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 4)])
    await store.put(key(0, 3), new Uint8Array(400))
    const memory: VerifyMemory = new Map()
    expect(await verifyReplica(client, { memory })).toMatchObject({ filesRead: 4 })
    const read: string[] = []
    store.beforeGet = (asked) => {
      read.push(asked)
    }
    await putChain(client, states, PAGE_SIZE, level0(5, 5))
    const again = await verifyReplica(client, { memory })
    expect(read).toEqual([key(0, 3), key(0, 5)])
    expect(again).toMatchObject({ files: 5, filesRead: 2, defects: [{ key: key(0, 3) }] })
  })

  it('refuses a parallelism that makes no sense, and ends with the reason of its signal', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 8)])
    await expect(verifyReplica(client, { parallelism: 0 })).rejects.toBeInstanceOf(RangeError)
    const stop = new AbortController()
    let reads = 0
    store.beforeGet = () => {
      reads++
      if (reads === 3) stop.abort(new Error('stopped'))
    }
    const verifying = verifyReplica(client, { parallelism: 1, signal: stop.signal })
    await expect(verifying).rejects.toThrow('stopped')
    expect(reads).toBe(3)
  })
})

describe('verify of a replica that changes in the meantime', () => {
  it('follows a compaction that deletes what it has merged', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 6)])
    let done = false
    store.beforeGet = async (asked) => {
      if (done || asked !== key(0, 4)) return
      done = true
      await putChain(client, states, PAGE_SIZE, [{ level: 1, min: 2, max: 5 }])
      await client.delete(
        (await client.list()).filter(({ level, maxTxid }) => level === 0 && maxTxid <= 5n),
      )
    }
    const report = await verifyReplica(client, { parallelism: 1 })
    expect(done).toBe(true)
    expect(report).toMatchObject({ verdict: 'good', files: 3, defects: [], latest: { txid: 6n } })
  })

  it('names an object that is always listed but never there', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 5)])
    store.beforeGet = (asked) => {
      if (asked === key(0, 4)) throw notFound(asked)
    }
    expect(await verifyReplica(client)).toMatchObject({
      verdict: 'damaged',
      defects: [{ code: 'Missing', key: key(0, 4), cost: [{ from: 4n, to: 5n }] }],
    })
  })

  it('names an object that is never of the listed size', async () => {
    class Growing extends FailingStore {
      override async get(
        ...[asked, options]: Parameters<MemoryObjectStore['get']>
      ): Promise<GetResult> {
        const result = await super.get(asked, options)
        if (asked !== key(0, 3)) return result
        return { ...result, info: { ...result.info, size: result.info.size + 1 } }
      }
    }
    const { client } = await chain([BASE, ...level0(2, 3)], new Growing())
    expect(await verifyReplica(client)).toMatchObject({
      defects: [{ code: 'SizeChanged', key: key(0, 3) }],
    })
  })
})

describe('verify of a store that fails', () => {
  it('says so, and nothing about the replica', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 5)])
    for (const code of ['Unavailable', 'PermissionDenied', 'Timeout'] as const) {
      store.beforeGet = (asked) => {
        if (asked === key(0, 4)) throw new StoreError(code, 'no', { op: 'get', key: asked })
      }
      await expect(verifyReplica(client)).rejects.toMatchObject({ name: 'StoreError', code })
    }
  })

  it('names an archived object as that, at one try', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 5)])
    let tries = 0
    store.beforeGet = (asked) => {
      if (asked !== key(0, 4)) return
      tries++
      const options = { op: 'get', key: asked, archived: true, hint: 'Bring it back.' }
      throw new StoreError('Unsupported', 'no', options)
    }
    expect(await verifyReplica(client)).toMatchObject({
      defects: [
        { code: 'Archived', key: key(0, 4), message: expect.stringMatching(/Bring it back\.$/) },
      ],
    })
    expect(tries).toBe(1)
  })

  it('tries an object again that did not arrive whole, and names it if it never does', async () => {
    const { client, store } = await chain([BASE, ...level0(2, 5)])
    let tries = 0
    const corrupt = (until: number) => (asked: string) => {
      if (asked !== key(0, 4) || ++tries > until) return
      throw new StoreError('Corrupted', 'its checksum is wrong', { op: 'get', key: asked })
    }
    store.beforeGet = corrupt(2)
    expect(await verifyReplica(client)).toMatchObject({ verdict: 'good' })
    expect(tries).toBe(3)
    tries = 0
    store.beforeGet = corrupt(3)
    expect(await verifyReplica(client)).toMatchObject({
      defects: [{ code: 'Unreadable', key: key(0, 4) }],
    })
  })
})

describe('verify of what Litestream 0.5.17 wrote', () => {
  const folder = join(import.meta.dirname, '../../fixtures/replica/litestream-0.5.17')
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ltx'))

  it('finds it good, and names each damaged object', async () => {
    const store = new MemoryObjectStore()
    for (const name of names) await store.put(name, readFileSync(join(folder, name)))
    const client = new ReplicaClient(store, 'ltx')
    expect(await verifyReplica(client)).toMatchObject({
      verdict: 'good',
      files: 17,
      orphans: 0,
      restorable: [{ from: 1n, to: 9n, states: 9 }],
    })
    for (const name of names) {
      const bytes = readFileSync(join(folder, name))
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1
      await store.put(name, bytes)
      const { verdict, defects } = await verifyReplica(client)
      expect(defects).toMatchObject([{ code: 'Damaged', key: name }])
      // Nine states on four levels: most objects have others that stand in for them.
      expect(verdict).toBe((defects[0]?.cost.length as number) > 0 ? 'damaged' : 'degraded')
      await store.put(name, readFileSync(join(folder, name)))
    }
  })
})
