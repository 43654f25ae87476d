import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import type { PutBody, PutOptions } from '../../../src/core/store/index.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'

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
