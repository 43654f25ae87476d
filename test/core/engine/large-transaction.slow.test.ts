import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { type PutBody, type PutOptions, StoreError } from '../../../src/core/store/index.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'
import { until } from '../../support/until.ts'

/** Notes the largest body that came as one piece of memory, and the largest of all. */
class MeasuringStore extends SwitchedStore {
  inMemory = 0
  largest = 0

  override async put(key: string, body: PutBody, options?: PutOptions) {
    if (body instanceof Uint8Array) this.inMemory = Math.max(this.inMemory, body.length)
    const result = await super.put(key, body, options)
    this.largest = Math.max(this.largest, result.size)
    return result
  }
}

it('a transaction far larger than the WAL limit is read from the WAL as it is sent, never kept in memory', async () => {
  const store = new MeasuringStore(new MemoryObjectStore())
  await using rig = new ReplicaRig(store)
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.start({ maxWalBytes: 1 << 20 })
  db.exec('BEGIN')
  for (let i = 0; i < 40; i++) db.exec('INSERT INTO t VALUES (randomblob(1 << 20))')
  db.exec('COMMIT')
  await rig.synced()
  expect(store.largest).toBeGreaterThan(40 << 20)
  expect(store.inMemory).toBeLessThan(16 << 20)
  await rig.stop()
  const restored = await rig.restore()
  expect(contents(restored) === contents(db)).toBe(true)
  restored.close()
  db.close()
}, 60_000)

it.each([
  { spool: 'can be written', inMemory: false },
  { spool: 'cannot be written', inMemory: true },
])(
  'one that waits when the database is replaced is kept, where the spool $spool',
  async (where) => {
    const store = new MeasuringStore(new MemoryObjectStore())
    await using rig = new ReplicaRig(store)
    const spoolDir = join(rig.folder, 'spool')
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    // Nothing but the loss of the WAL asks for the spool.
    await rig.start({ maxWalBytes: 1 << 30, spoolDir })
    // A file where the folder would go.
    if (where.inMemory) writeFileSync(spoolDir, '')
    const rows = 20
    store.failure = new StoreError('Unavailable', 'the store is away', { op: 'put' })
    db.exec('BEGIN')
    for (let i = 0; i < rows; i++) db.exec('INSERT INTO t VALUES (randomblob(1 << 20))')
    db.exec('COMMIT')
    await until(() => store.failed > 0)
    expect(where.inMemory || !existsSync(spoolDir)).toBe(true)

    const next = join(rig.folder, 'next.db')
    using other = new DatabaseSync(next)
    other.exec('PRAGMA journal_mode = WAL; CREATE TABLE other (a)')
    other.close()
    renameSync(next, rig.path)
    await until(() => rig.events.some((event) => event.type === 'waiting'))
    if (!where.inMemory) {
      const [spooled] = readdirSync(spoolDir)
      expect(statSync(join(spoolDir, spooled!)).size).toBeGreaterThan(rows << 20)
    }
    store.failure = undefined
    await until(() => store.largest > rows << 20)
    if (where.inMemory) expect(store.inMemory).toBeGreaterThan(rows << 20)
    else expect(store.inMemory).toBeLessThan(16 << 20)
    await until(async () => (await rig.files()).some(({ size }) => size > rows << 20))
    const large = (await rig.files()).find(({ size }) => size > rows << 20)!
    const restored = await rig.restore({ kind: 'txid', txid: large.maxTxid })
    expect(contents(restored) === contents(db)).toBe(true)
    restored.close()
    db.close()
  },
  60_000,
)
