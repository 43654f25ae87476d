import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { Engine } from '../../../src/core/engine/index.ts'
import {
  type ListOptions,
  type ObjectInfo,
  ObservedStore,
  StoreError,
} from '../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { until } from '../../support/until.ts'

const LEVELS = [100, 300, 900]
const THIN = { levelKeepMs: [0, 0, 0], minObjectAgeMs: 0 }

/** Its objects have the times of a copy (`cp -r`). */
class CopiedStore extends MemoryObjectStore {
  override async *list(options?: ListOptions): AsyncIterable<ObjectInfo> {
    for await (const info of super.list(options)) {
      yield { ...info, createdAt: new Date(info.lastModified.getTime() - 10_000) }
    }
  }
}

describe('a watched replica', () => {
  it('is merged and thinned while it grows, and then left alone without a request', async () => {
    const store = new ObservedStore(new MemoryObjectStore())
    await using rig = new ReplicaRig(store)
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ levels: LEVELS, retention: THIN })
    for (let i = 0; i < 60; i++) {
      db.exec(`INSERT INTO t VALUES (${i})`)
      await delay(10)
    }
    await rig.synced()
    await until(() => rig.count('compacted') >= 3 && rig.count('pruned') >= 1)
    // The last boundary of the highest level has passed, and nothing is left that could be merged.
    await delay(2 * LEVELS.at(-1)!)
    const before = store.totalCalls
    await delay(2 * LEVELS.at(-1)!)
    expect(store.totalCalls).toBe(before)

    const files = await rig.files()
    expect(files.filter(({ level }) => level === 0).length).toBeLessThan(60)
    expect(files.some(({ level }) => level >= 2)).toBe(true)
    const [status] = rig.engine.status()
    expect(status).toMatchObject({ lagMs: 0, replicaFiles: files.length })
    expect(status!.replicaBytes).toBe(files.reduce((sum, { size }) => sum + size, 0))
    expect(status!.restorable!.to.txid).toBe(status!.txid)
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(db))
    restored.close()
    db.close()
  })

  it('ends without waiting for the merges of others', async () => {
    await using rig = new ReplicaRig()
    const hooks: StoreHooks = {}
    const databases = ['a', 'b', 'c'].map((name) => {
      const path = join(rig.folder, `${name}.db`)
      const db = new DatabaseSync(path)
      db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
      const store = hookedStore(new MemoryObjectStore(), hooks)
      return { name, path, store, layout: 'ltx' as const, db, levels: LEVELS, syncIntervalMs: 5 }
    })
    const merging = Promise.withResolvers<void>()
    let merges = 0
    hooks.get = async (_, go) => {
      merges++
      await merging.promise
      return await go()
    }
    const engine = new Engine({ databases, onEvent: () => undefined })
    await engine.start()
    for (let i = 0; i < 3; i++) {
      for (const { db } of databases) db.exec('INSERT INTO t VALUES (1)')
      await engine.sync()
    }
    await until(() => merges >= 2)
    await delay(2 * LEVELS[0]!)
    const ended = databases.map(({ name }) => engine.remove(name, 5000))
    expect(await Promise.race(ended)).toBe(true)
    merging.resolve()
    expect(await Promise.all(ended)).toEqual([true, true, true])
    await engine.close()
    for (const { db } of databases) db.close()
  })

  it('is known file by file, including files whose put was not answered', async () => {
    const hooks: StoreHooks = {}
    await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    let puts = 0
    hooks.put = async (_, go) => {
      puts += 1
      const result = await go()
      if (puts === 1) throw new StoreError('Unavailable', 'no answer', { op: 'put' })
      return result
    }
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    expect(puts).toBe(2)
    expect(rig.count('store-error')).toBe(1)
    const files = await rig.files()
    expect(rig.engine.status()[0]).toMatchObject({
      replicaFiles: files.length,
      replicaBytes: files.reduce((sum, { size }) => sum + size, 0),
    })
    db.close()
  })

  it('is verified on its schedule, and damage is reported', async () => {
    const store = new MemoryObjectStore()
    await using rig = new ReplicaRig(store)
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ verifyIntervalMs: 50 })
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    await until(() => rig.count('verified') > 0)
    expect(rig.count('damage-found')).toBe(0)
    const [first] = await rig.files()
    await store.delete(first!.key)
    await until(() => rig.count('damage-found') > 0)
    db.close()
  })

  it('goes on being merged and thinned after a verification found only wrong times', async () => {
    await using rig = new ReplicaRig(new CopiedStore())
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ levels: LEVELS, retention: THIN, verifyIntervalMs: 20 })
    await until(async () => {
      db.exec('INSERT INTO t VALUES (1)')
      await rig.synced()
      return rig.count('damage-found') > 1 && rig.count('pruned') > 1
    })
    const found = rig.events.find((event) => event.type === 'damage-found')
    expect(found).toMatchObject({ verdict: 'degraded', defects: [{ code: 'WrongTime' }] })
    expect(rig.count('retention-blocked')).toBe(0)
    db.close()
  })

  it('gets restore drills on their schedule: one that passes, one that fails, one that cannot run', async () => {
    const store = new MemoryObjectStore()
    await using rig = new ReplicaRig(store)
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    const assertions = ['SELECT count(*) < 2 FROM t']
    await rig.start({ drill: { intervalMs: 50, assertions, maxAgeMs: undefined } })
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    // However old the state is: it is what the database still is.
    await until(() =>
      rig.events.some((event) => event.type === 'drill-passed' && event.ageMs === 0),
    )
    expect(rig.engine.status()[0]?.lastError).toBeUndefined()
    db.exec('INSERT INTO t VALUES (2)')
    await rig.synced()
    await until(() => rig.count('drill-failed') > 0)
    const [failure] = ['Assertion failed: SELECT count(*) < 2 FROM t: found 0']
    expect(rig.events.find(({ type }) => type === 'drill-failed')).toMatchObject({
      failures: [failure],
      bytes: 8192,
    })
    expect(rig.engine.status()[0]?.lastError).toBe(`the restore drill failed: ${failure}`)
    for (const { key } of await rig.files()) await store.delete(key)
    await until(() => rig.count('drill-not-run') > 0)
    db.close()
  })

  it.each([
    ['pages', { intervalMs: 0, afterPages: 20 }],
    ['bytes', { intervalMs: 0, afterBytes: 20_000 }],
    ['quiet', { intervalMs: 0, onIdleMs: 60 }],
  ])('gets a snapshot by %s, and none that would add nothing', async (_, snapshots) => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ snapshots })
    await delay(150)
    expect(rig.count('snapshot')).toBe(0)
    for (let i = 0; i < 20; i++) {
      db.exec('INSERT INTO t VALUES (randomblob(2000))')
      await delay(10)
    }
    await until(() => rig.count('snapshot') > 0)
    await rig.synced()
    await delay(200)
    const taken = rig.count('snapshot')
    await delay(200)
    expect(rig.count('snapshot')).toBe(taken)
    db.close()
  })

  it('gets a snapshot as soon as it is due, not when its quiet log is looked at in full', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ pollIntervalMs: 3000, snapshots: { intervalMs: 0, onIdleMs: 500 } })
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    // Without the check of the clock it would take five polls.
    await until(() => rig.count('snapshot') > 0, 10_000)
    db.close()
  })

  it('gets a snapshot at start if requested and if there is something new', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    const snapshots = { intervalMs: 0, atStart: true }
    await rig.start({ snapshots })
    await rig.stop()
    await rig.start({ snapshots })
    await delay(150)
    expect(rig.count('snapshot')).toBe(0)
    db.exec('INSERT INTO t VALUES (1)')
    await rig.stop()
    await rig.start({ snapshots })
    await until(() => rig.count('snapshot') === 1)
    db.close()
  })
})
