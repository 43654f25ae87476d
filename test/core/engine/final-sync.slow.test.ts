import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'

// It follows an application that keeps writing for five seconds.
it('the final sync ships all that was committed before, however long it takes', async () => {
  const hooks: StoreHooks = {}
  await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
  const db = rig.open('PRAGMA wal_autocheckpoint = 0;')
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB)')
  await rig.start()
  await rig.synced()
  const puts: number[] = []
  hooks.put = async (key, go) => {
    if (!key.startsWith('ltx/0/')) return await go()
    await delay(3000)
    puts.push(performance.now())
    return await go()
  }
  // Each is more than one file takes.
  for (let i = 0; i < 4; i++) {
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 70)
      INSERT INTO t (a) SELECT zeroblob(1000000) FROM n`)
  }
  const { count } = db.prepare('SELECT count(*) AS count FROM t').get() as { count: number }
  const stoppedAt = performance.now()
  expect(await rig.engine.stop(60_000)).toEqual([])
  expect(puts.length).toBeGreaterThan(2)
  expect(puts.at(-1)! - stoppedAt).toBeGreaterThan(6000)
  hooks.put = undefined
  const restored = await rig.restore()
  expect(restored.prepare('SELECT count(*) AS count FROM t').get()).toEqual({ count })
  for (const each of [restored, db]) each.close()
}, 120_000)
