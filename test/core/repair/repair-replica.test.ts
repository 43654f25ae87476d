import type { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { txid } from '../../../src/core/ltx/index.ts'
import { type Repair, repairReplica } from '../../../src/core/repair/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { ltxKey } from '../../../src/core/replica/replica-layout.ts'
import { verifyReplica } from '../../../src/core/verify/index.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

let rig: ReplicaRig
let store: MemoryObjectStore
let db: DatabaseSync

beforeEach(async () => {
  store = new MemoryObjectStore()
  rig = new ReplicaRig(store)
  db = rig.open()
  // A table that is never written again, so that the first file stays needed.
  db.exec('CREATE TABLE once AS SELECT hex(zeroblob(3000)) AS x; CREATE TABLE t (x)')
  await rig.start()
  for (let n = 0; n < 5; n++) await commit()
})
afterEach(async () => {
  await rig[Symbol.asyncDispose]()
  if (db.isOpen) db.close()
})

async function commit(): Promise<void> {
  db.exec('INSERT INTO t VALUES (hex(randomblob(100)))')
  await rig.synced()
}

const key = (level: number, min: number, max = min) => ltxKey('ltx', level, txid(min), txid(max))

async function bytesOf(name: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.get(name)).body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function damage(name: string, at = -30): Promise<void> {
  const bytes = await bytesOf(name)
  const index = at < 0 ? bytes.length + at : at
  bytes[index] = (bytes[index] as number) ^ 0x10
  await store.put(name, bytes)
}

async function everything(): Promise<Map<string, string>> {
  const objects = new Map<string, string>()
  for await (const { key: name } of store.list()) {
    objects.set(name, (await bytesOf(name)).toString('base64'))
  }
  return objects
}

async function repair(options: { force?: boolean } = {}): Promise<Repair> {
  const before = await everything()
  const result = await repairReplica('app', rig.path, store, 'ltx', { patienceMs: 300, ...options })
  const after = await everything()
  for (const [name, bytes] of before) expect(after.get(name)).toBe(bytes)
  if (result.taken.length === 0) expect(after).toEqual(before)
  return result
}

/** The newest state is the database's own, now and after the next commit. */
async function expectGoesOn(): Promise<void> {
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  restored.close()
}

const CASES: readonly (readonly [string, () => Promise<void>, readonly string[]])[] = [
  ['a file in the middle is damaged', () => damage(key(0, 3)), ['3-6']],
  ['the end is damaged behind its header', () => damage(key(0, 6)), ['6-6']],
  ['the end is damaged in its header', () => damage(key(0, 6), 85), ['6-6']],
  [
    'the end cannot be read as a file',
    () => store.put(key(0, 6), Buffer.from('x')).then(),
    ['6-6'],
  ],
  ['a file in the middle is gone', () => store.delete(key(0, 4)), ['4-6']],
  ['the first file is gone', () => store.delete(key(9, 1)), ['1-6']],
  ['the first file is damaged', () => damage(key(9, 1)), ['1-6']],
]

/** Decimal, as `from-to`. */
function lostOf({ lost }: Repair['before']): string[] {
  return lost.map(({ from, to }) => `${from}-${to}`)
}

describe.each(CASES)('repair where %s', (_, harm, lost) => {
  it('while a watcher is running, which continues', async () => {
    await harm()
    const { before, taken, after } = await repair()
    expect(lostOf(before)).toEqual(lost)
    expect(taken).toHaveLength(1)
    expect(after.latest).toMatchObject({ restorable: true, txid: taken[0]?.txid })
    await expectGoesOn()
    await commit()
    await expectGoesOn()
    expect(rig.count('fenced')).toBe(0)
    expect(await verifyReplica(new ReplicaClient(store, 'ltx'))).toMatchObject({
      latest: { restorable: true },
    })
  })

  it('without a watcher and without the WAL; the next watcher continues', async () => {
    await rig.stop()
    db.close()
    await harm()
    const { taken, after } = await repair()
    expect(taken.at(-1)?.txid).toBeGreaterThanOrEqual(6n)
    expect(after.latest.restorable).toBe(true)
    db = rig.open()
    await expectGoesOn()
    await rig.start()
    await commit()
    await expectGoesOn()
  })
})

describe('repair', () => {
  it('makes all states from the repaired one on restorable, and says which stay lost', async () => {
    await damage(key(0, 3))
    const { after } = await repair()
    // TXID 6 is what the new snapshot stands for; 3 to 5 are in no file any more.
    expect(after).toMatchObject({
      verdict: 'damaged',
      lost: [{ from: 3n, to: 5n, states: 3 }],
      restorable: [
        { from: 1n, to: 2n },
        { from: 6n, to: 6n },
      ],
    })
  })

  it('takes the next TXID where the snapshot of the newest one is itself damaged', async () => {
    await repair({ force: true })
    await damage(key(9, 1, 6))
    // Its pages: a damaged checksum at its end would need a new base from the start.
    await damage(key(0, 6), 120)
    const { taken, after } = await repair()
    expect(taken).toMatchObject([
      { txid: 6n, skipped: true },
      { txid: 7n, skipped: false },
    ])
    expect(after.latest).toMatchObject({ txid: 7n, restorable: true })
    await expectGoesOn()
    await commit()
    await expectGoesOn()
    expect(rig.count('fenced')).toBe(0)
  })

  it('takes the next TXID where the only file of a quiet replica is damaged', async () => {
    await using quiet = new ReplicaRig(new MemoryObjectStore())
    const own = quiet.open()
    own.exec('CREATE TABLE t (x); INSERT INTO t VALUES (1)')
    await quiet.start()
    const only = (await quiet.files())[0]?.key as string
    await quiet.store.put(only, Buffer.alloc(500))
    const { taken, after } = await repairReplica('app', quiet.path, quiet.store, 'ltx', {
      patienceMs: 300,
    })
    expect(taken.at(-1)?.txid).toBe(2n)
    expect(after.latest).toMatchObject({ txid: 2n, restorable: true })
    own.exec('INSERT INTO t VALUES (2)')
    await quiet.synced()
    const restored = await quiet.restore()
    expect(contents(restored)).toBe(contents(own))
    restored.close()
    own.close()
  })

  it('writes nothing where the newest state can be restored, unless it is forced to', async () => {
    expect((await repair()).taken).toEqual([])
    const forced = await repair({ force: true })
    expect(forced.taken).toMatchObject([{ txid: 6n, skipped: false }])
    // Damage behind a copy of the newest state costs old states, which no database can give back.
    await damage(key(0, 3))
    const { before, taken, after } = await repair()
    expect(before).toMatchObject({ verdict: 'damaged', latest: { restorable: true } })
    expect(taken).toEqual([])
    expect(after).toBe(before)
  })

  it('refuses a name that no replica has', async () => {
    const repairing = repairReplica('other', rig.path, new MemoryObjectStore(), 'ltx')
    await expect(repairing).rejects.toMatchObject({ code: 'NoReplica' })
  })
})
