import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

/** A database of another page size takes the place of the rig's. */
function replace(rig: ReplicaRig): void {
  const next = join(rig.folder, 'next.db')
  const made = new DatabaseSync(next)
  made.exec(
    'PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; CREATE TABLE n (x); INSERT INTO n VALUES (5)',
  )
  made.close()
  renameSync(next, rig.path)
  for (const suffix of ['-wal', '-shm']) rmSync(rig.path + suffix, { force: true })
}

for (const proven of [true, false]) {
  const how = proven ? 'goes on from that base' : 'takes another base'
  it(`a process that ends between a base of another page size and its snapshot leaves the snapshot to the next, which ${how}`, async () => {
    const hooks: StoreHooks = {}
    await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await rig.start()
    await rig.synced()
    db.close()
    await rig.stop()
    replace(rig)
    const other = rig.open('PRAGMA wal_autocheckpoint = 0')
    other.exec('INSERT INTO n VALUES (6)')
    hooks.put = async (key, go) => {
      if (!key.startsWith('ltx/9/')) return await go()
      throw new StoreError('Unavailable', 'the store went away', { op: 'put' })
    }
    await rig.start()
    while (rig.count('store-error') === 0) await delay(5)
    await rig.kill()
    const files = await rig.files()
    expect(files.map(({ level, maxTxid }) => [level, maxTxid])).toEqual([
      [0, 2n],
      [9, 1n],
    ])
    // walsync restores that by the base alone; Litestream and a compaction cannot mix the two.
    const client = new ReplicaClient(rig.store, 'ltx')
    const headers = await Promise.all(files.map((file) => client.readHeader(file)))
    expect(headers.map(({ pageSize }) => pageSize)).toEqual([1024, 4096])

    hooks.put = undefined
    if (!proven) other.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    other.exec('INSERT INTO n VALUES (7)')
    const bases = rig.count('base')
    await rig.start()
    while (rig.count('snapshot') === 0) await delay(5)
    await rig.synced()
    await rig.stop()
    expect(rig.count('base') - bases).toBe(proven ? 0 : 1)
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(other))
    restored.close()
    // Not a second time.
    const snapshots = rig.count('snapshot')
    await rig.start()
    await rig.synced()
    await delay(50)
    await rig.stop()
    expect(rig.count('snapshot')).toBe(snapshots)
    other.close()
  })
}
