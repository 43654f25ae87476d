import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'

let store: SwitchedStore
let rig: ReplicaRig

beforeEach(() => {
  store = new SwitchedStore(new MemoryObjectStore())
  rig = new ReplicaRig(store)
})
afterEach(() => rig[Symbol.asyncDispose]())

/** An hour without credits: nothing is shipped unless somebody asks for it. */
const SLOW = { syncIntervalMs: 3_600_000, syncBurst: 1 }

describe('waiting for commits to be in the store', () => {
  it('includes a commit made right before the call, however many there are', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ syncBurst: 1000 })
    for (let i = 0; i < 100; i++) {
      db.exec(`INSERT INTO t VALUES (${i})`)
      await rig.engine.syncOne('app', { when: 'paced' })
      if (i % 20 > 0) continue
      const restored = await rig.restore()
      expect(restored.prepare('SELECT max(a) AS a FROM t').get()).toEqual({ a: i })
      restored.close()
    }
    db.close()
  })

  it('answers immediately and without an upload if there is nothing to ship', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start(SLOW)
    db.exec('INSERT INTO t VALUES (1)')
    expect(await rig.engine.syncOne('app', { when: 'now' })).toBe(2n)
    expect(await rig.engine.syncOne('app', { when: 'paced' })).toBe(2n)
    expect(rig.count('synced')).toBe(1)
    db.close()
  })

  it('ships immediately for `now`, and not before it is due for `paced`', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start(SLOW)
    db.exec('INSERT INTO t VALUES (1)')
    await rig.engine.syncOne('app', { when: 'now' })
    db.exec('INSERT INTO t VALUES (2)')
    const patience = new AbortController()
    const paced = rig.engine.syncOne('app', { when: 'paced', signal: patience.signal })
    paced?.catch(() => undefined)
    await delay(100)
    expect(rig.count('synced')).toBe(1)
    const both = await Promise.all([paced, rig.engine.syncOne('app', { when: 'now' })])
    expect(both).toEqual([3n, 3n])
    expect(rig.count('synced')).toBe(2)
    db.close()
  })

  it('needs at most three uploads for a hundred concurrent callers', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start(SLOW)
    const waiting = Array.from({ length: 100 }, async (_, i) => {
      await delay(i % 5)
      db.exec(`INSERT INTO t VALUES (${i})`)
      await rig.engine.syncOne('app', { when: 'now' })
      return rig.count('synced')
    })
    await Promise.all(waiting)
    expect(rig.count('synced')).toBeLessThanOrEqual(8)
    const before = rig.count('synced')
    const atOnce = Array.from({ length: 100 }, (_, i) => {
      db.exec(`INSERT INTO t VALUES (${i})`)
      return rig.engine.syncOne('app', { when: 'now' })
    })
    await Promise.all(atOnce)
    expect(rig.count('synced') - before).toBeLessThanOrEqual(3)
    db.close()
  })

  it('includes a database that took the place of this one right before the call', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    // The files would be checked on their own after an hour.
    await rig.start({ pollIntervalMs: 3_600_000 })
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    db.close()
    for (const rows of [2, 3, 4]) {
      const next = join(rig.folder, 'next.db')
      const made = new DatabaseSync(next)
      made.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
      for (let i = 0; i < rows; i++) made.exec(`INSERT INTO t VALUES (${i})`)
      made.close()
      for (const suffix of ['-wal', '-shm']) rmSync(rig.path + suffix, { force: true })
      renameSync(next, rig.path)
      await rig.synced()
      const restored = await rig.restore()
      expect(restored.prepare('SELECT count(*) AS rows FROM t').get()).toEqual({ rows })
      restored.close()
    }
  })

  it('is not starved by writes that never pause', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    let isOver = false
    const writing = (async () => {
      for (let i = 0; !isOver; i++) {
        db.exec(`INSERT INTO t VALUES (${i})`)
        await delay(0)
      }
    })()
    for (let i = 0; i < 20; i++) await rig.engine.syncOne('app', { when: 'now' })
    isOver = true
    await writing
    db.close()
  })

  it('survives restarts of the log', async () => {
    const db = rig.open('PRAGMA busy_timeout = 0;')
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    for (let i = 0; i < 10; i++) {
      db.exec(`INSERT INTO t VALUES (${i})`)
      await rig.engine.syncOne('app', { when: 'paced' })
      // Until the read mark has moved the checkpoint is refused.
      const truncate = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)')
      while ((truncate.get() as { busy: number }).busy === 1) await delay(1)
    }
    const restored = await rig.restore()
    expect(restored.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 10 })
    restored.close()
    db.close()
  })

  it('lasts as long as the store is away, and ends with the reason of its signal', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    store.failure = new StoreError('Unavailable', 'away', { op: 'put' })
    db.exec('INSERT INTO t VALUES (1)')
    const patience = new AbortController()
    const late = rig.engine.syncOne('app', { when: 'now', signal: patience.signal })
    const waiting = rig.engine.syncOne('app', { when: 'now' })
    while (rig.count('store-error') === 0) await delay(1)
    patience.abort(new Error('long enough'))
    await expect(late).rejects.toThrow('long enough')
    store.failure = undefined
    expect(await waiting).toBe(2n)
    db.close()
  })

  it('fails if replication ends with changes that are not shipped, and for every later call', async () => {
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    store.failure = new StoreError('Unavailable', 'away', { op: 'put' })
    db.exec('INSERT INTO t VALUES (1)')
    const waiting = rig.engine.syncOne('app', { when: 'now' })
    const failed = expect(waiting).rejects.toMatchObject({ code: 'Stopped' })
    await rig.engine.stop(50)
    await failed
    const later = rig.engine.syncOne('app', { when: 'now' })
    await expect(later).rejects.toMatchObject({ code: 'Stopped' })
    expect(rig.engine.syncOne('nobody', { when: 'now' })).toBeUndefined()
    db.close()
  })
})
