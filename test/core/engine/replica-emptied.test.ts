import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { takeSnapshot } from '../../../src/core/engine/snapshots/take-snapshot.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { until } from '../../support/until.ts'

const OPTIONS = { levels: [100, 300], retention: { levelKeepMs: [0, 0], minObjectAgeMs: 0 } }
const KINDS = ['all', 'base'] as const

/** Deletes all files, or those that a restore begins with, as a lifecycle rule or a person does. */
async function lose(rig: ReplicaRig, kind: (typeof KINDS)[number]): Promise<void> {
  const files = (await rig.files()).filter(({ minTxid }) => kind === 'all' || minTxid === 1n)
  expect(files.length).toBeGreaterThan(0)
  await new ReplicaClient(rig.store, 'ltx').delete(files)
}

describe.each(KINDS)('a replica that lost its files (%s)', (kind) => {
  it('gets a snapshot while the watcher runs', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start(OPTIONS)
    for (let i = 0; i < 3; i++) {
      db.exec('INSERT INTO t VALUES (1)')
      await rig.synced()
    }
    await lose(rig, kind)
    await until(async () => {
      db.exec('INSERT INTO t VALUES (2)')
      await rig.synced()
      return rig.count('chain-broken') > 0 && rig.count('snapshot') > 0
    })
    await rig.synced()
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(db))
    const [status] = rig.engine.status()
    expect(status!.lastError).toBeUndefined()
    expect(status!.restorable!.to.txid).toBe(status!.txid)
    restored.close()
    db.close()
  })

  it('gets one at the next start', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    for (let i = 0; i < 3; i++) {
      db.exec('INSERT INTO t VALUES (1)')
      await rig.synced()
    }
    await rig.stop()
    await lose(rig, kind)
    const error = await rig.restore().catch((error: unknown) => error)
    expect(['NoReplica', 'Gap', 'TargetNotReachable']).toContain((error as { code?: string }).code)
    rig.events.length = 0
    await rig.start()
    await rig.synced()
    await until(() => rig.count(kind === 'all' ? 'base' : 'snapshot') > 0)
    expect(rig.count('chain-broken')).toBe(kind === 'all' ? 0 : 1)
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(db))
    restored.close()
    db.close()
  })
})

it('a chain that another process repaired is no failure any more once snapshots succeed', async () => {
  const inner = new MemoryObjectStore()
  const hooks: StoreHooks = {}
  await using rig = new ReplicaRig(hookedStore(inner, hooks))
  using db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.start(OPTIONS)
  const status = () => rig.engine.status()[0]!
  const commit = async (): Promise<void> => {
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
  }
  await commit()
  hooks.put = async (key, go) => {
    if (key.startsWith('ltx/9/')) throw new StoreError('PermissionDenied', 'no', { op: 'put' })
    return await go()
  }
  await lose(rig, 'base')
  await until(async () => {
    await commit()
    return rig.count('chain-broken') > 0 && status().lastError === 'no'
  })
  await takeSnapshot('app', rig.path, inner, 'ltx', { patienceMs: 0 })
  await until(async () => {
    await commit()
    return status().restorable !== undefined
  })
  hooks.put = undefined
  await until(async () => {
    await commit()
    return status().lastError === undefined
  })
  expect(status().restorable!.to.txid).toBe(status().txid)
}, 30_000)
