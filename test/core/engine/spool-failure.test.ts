import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'

it('a spool that cannot be written costs no TXID: the replica has no gap afterwards', async () => {
  const store = new SwitchedStore(new MemoryObjectStore())
  await using rig = new ReplicaRig(store)
  const spoolDir = join(rig.folder, 'spool')
  const db = rig.open('PRAGMA busy_timeout = 0;')
  db.exec('CREATE TABLE t (a)')
  await rig.start({ spoolDir, maxWalBytes: 1 << 20 })
  // A file stands where the folder would go, so that every write of the spool fails.
  writeFileSync(spoolDir, 'in the way')
  store.failure = new StoreError('Unavailable', 'the store is away', { op: 'put' })
  const until = Date.now() + 15_000
  while (rig.count('database-error') < 2 && Date.now() < until) {
    db.exec('INSERT INTO t VALUES (randomblob(20000))')
    await delay(4)
  }
  expect(rig.count('database-error')).toBeGreaterThanOrEqual(2)
  store.failure = undefined
  rmSync(spoolDir)
  await rig.synced()
  await rig.stop()
  const txids = (await rig.files()).filter((file) => file.level === 0).map((file) => file.maxTxid)
  expect(txids).toEqual(txids.map((_, i) => BigInt(i + 2)))
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  restored.close()
  db.close()
}, 60_000)
