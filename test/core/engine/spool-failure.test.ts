import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'
import { until } from '../../support/until.ts'

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
  while (rig.count('spool-failed') < 1 && Date.now() < until) {
    db.exec('INSERT INTO t VALUES (randomblob(20000))')
    await delay(4)
  }
  expect(rig.count('spool-failed')).toBe(1)
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

it('on a full disk is reported once; uploads resume when the store is back, and the spool when there is room', async (context) => {
  const store = new SwitchedStore(new MemoryObjectStore())
  await using rig = new ReplicaRig(store)
  const spoolDir = join(rig.folder, 'small')
  mkdirSync(spoolDir)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', spoolDir])
  if (mounted.status !== 0) return context.skip('this needs the right to mount a file system')
  try {
    const db = rig.open('PRAGMA busy_timeout = 0;')
    db.exec('CREATE TABLE t (a)')
    await rig.start({ spoolDir: join(spoolDir, 'spool'), maxWalBytes: 1 << 20 })
    const fill = async (until: () => boolean) => {
      for (let i = 0; !until(); i++) {
        try {
          db.exec('INSERT INTO t VALUES (randomblob(20000))')
        } catch (error) {
          // SQLITE_BUSY: a guarded checkpoint holds the write lock. Waiting here would block walsync, too.
          if ((error as { errcode?: number }).errcode !== 5) throw error
        }
        await delay(4)
        if (i > 4000) throw new Error('what was waited for did not happen')
      }
    }
    store.failure = new StoreError('Unavailable', 'the store is away', { op: 'put' })
    await fill(() => rig.count('spool-failed') > 0)
    const told = rig.events.find((event) => event.type === 'spool-failed')
    expect(told).toMatchObject({ error: { cause: { code: 'ENOSPC' } } })
    // Long enough for several more tries.
    const tries = store.failed
    await fill(() => store.failed >= tries + 3)
    expect(rig.count('spool-failed')).toBe(1)
    expect(rig.count('database-error')).toBe(0)
    const failures = rig.count('store-error')
    expect(failures).toBeLessThan(20)

    store.failure = undefined
    await rig.synced()
    // The file goes when its upload has been told of.
    await until(() => readdirSync(spoolDir).length === 0)

    const larger = spawnSync('mount', ['-o', 'remount,size=64m', spoolDir])
    expect(larger.status).toBe(0)
    store.failure = new StoreError('Unavailable', 'the store is away', { op: 'put' })
    await fill(() => rig.count('spooling') > 0)
    store.failure = undefined
    await rig.synced()
    await rig.stop()
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(db))
    restored.close()
    db.close()
  } finally {
    await rig.kill()
    spawnSync('umount', ['-l', spoolDir])
  }
}, 120_000)
