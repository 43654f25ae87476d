import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { FencedError, takeSnapshot } from '../../../src/core/engine/index.ts'
import { ObservedStore, StoreError } from '../../../src/core/store/index.ts'
import { OutsideApp } from '../../support/outside-app.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'
import { until } from '../../support/until.ts'

async function expectRestored(rig: ReplicaRig, db: DatabaseSync): Promise<void> {
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  expect(restored.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  restored.close()
}

describe('a tracker and the application', () => {
  it('writes nothing into the database and leaves its schema alone', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    const before = contents(db)
    const { data_version } = db.prepare('PRAGMA data_version').get() as { data_version: number }
    await rig.start()
    await rig.synced()
    await delay(100)
    expect(contents(db)).toBe(before)
    expect(db.prepare('PRAGMA data_version').get()).toEqual({ data_version })
    await rig.stop()
    db.close()
  })

  it('lets FULL, RESTART and TRUNCATE checkpoints of the application complete when everything is shipped', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open('PRAGMA busy_timeout = 0;')
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    for (const mode of ['FULL', 'RESTART', 'TRUNCATE', 'TRUNCATE', 'RESTART', 'FULL']) {
      db.exec('INSERT INTO t VALUES (randomblob(5000))')
      await rig.synced()
      let busy = 1
      for (let i = 0; i < 200 && busy === 1; i++) {
        await delay(5)
        busy = (db.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as { busy: number }).busy
      }
      expect(busy, mode).toBe(0)
    }
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    await rig.stop()
    expect(rig.count('base')).toBe(1)
    await expectRestored(rig, db)
    db.close()
  })

  it('follows an application that opens and closes its connection for each write, without new bases', async () => {
    await using rig = new ReplicaRig()
    rig.open().close()
    const first = rig.open()
    first.exec('CREATE TABLE t (a)')
    first.close()
    await rig.start()
    for (let i = 0; i < 30; i++) {
      const db = rig.open()
      db.exec(`INSERT INTO t VALUES (${i})`)
      db.close()
      if (i % 7 === 0) await rig.synced()
    }
    await rig.synced()
    await rig.stop()
    expect(rig.count('base')).toBe(1)
    const db = rig.open()
    await expectRestored(rig, db)
    db.close()
  })

  it('waits for an empty file to become a database', async () => {
    await using rig = new ReplicaRig()
    writeFileSync(rig.path, '')
    await rig.start()
    expect(rig.engine.status()[0]!.state).toBe('waiting')
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await rig.synced()
    await rig.stop()
    await expectRestored(rig, db)
    db.close()
  })

  it('says that the database was replaced or deleted, and takes a new base when one is there again', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await rig.start()
    await rig.synced()
    db.close()
    for (const suffix of ['', '-wal', '-shm']) rmSync(rig.path + suffix, { force: true })
    while (rig.count('waiting') === 0) await delay(5)
    expect(rig.events.find((event) => event.type === 'waiting')).toMatchObject({
      reason: expect.stringMatching(/replaced or deleted|no database/),
    })
    const other = rig.open()
    other.exec('CREATE TABLE other (b); INSERT INTO other VALUES (2)')
    while (rig.count('base') < 2) await delay(5)
    other.exec('INSERT INTO other VALUES (3)')
    await rig.synced()
    await rig.stop()
    await expectRestored(rig, other)
    other.close()
  })

  it('does not end as if everything were in the store while the database cannot be opened', async () => {
    await using rig = new ReplicaRig()
    rig.open().close()
    await rig.start()
    await rig.synced()
    const next = join(rig.folder, 'next.db')
    const made = new DatabaseSync(next)
    made.exec('CREATE TABLE n (x); INSERT INTO n VALUES (5)')
    made.close()
    for (const suffix of ['-wal', '-shm']) rmSync(rig.path + suffix, { force: true })
    renameSync(next, rig.path)
    while (rig.count('database-error') === 0) await delay(5)
    expect(rig.events.findLast(({ type }) => type === 'database-error')).toMatchObject({
      error: { code: 'NotWalMode' },
    })
    expect(await rig.engine.stop(5000)).toEqual(['app'])
  })

  it('lets an application begin anew in a database file that was emptied', async () => {
    await using rig = new ReplicaRig()
    const app = await OutsideApp.open(rig.path)
    await app.exec('INSERT INTO t (v) VALUES (1)')
    await rig.start()
    await rig.synced()
    await app.kill()
    // In a process of its own: closing a descriptor would drop the locks of this one.
    execFileSync('truncate', ['-s', '0', rig.path])
    const anew = `const { DatabaseSync } = require('node:sqlite')
      const db = new DatabaseSync(process.argv[1])
      db.exec('PRAGMA journal_mode = WAL; CREATE TABLE n (x); INSERT INTO n VALUES (5)')`
    const begin = () => spawnSync(process.execPath, ['--no-warnings', '-e', anew, rig.path]).status
    await until(() => begin() === 0)
    await rig.synced()
    const restored = await rig.restore()
    expect(restored.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'n' }])
    restored.close()
  })

  it('takes a database of another page size that is renamed over the old one', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await rig.start()
    await rig.synced()
    db.close()
    const next = join(rig.folder, 'next.db')
    const made = new DatabaseSync(next)
    made.exec(
      'PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; CREATE TABLE n (x); INSERT INTO n VALUES (5)',
    )
    made.close()
    renameSync(next, rig.path)
    for (const suffix of ['-wal', '-shm']) rmSync(rig.path + suffix, { force: true })
    while (rig.count('base') < 2) await delay(5)
    const other = rig.open()
    other.exec('INSERT INTO n VALUES (6)')
    await rig.synced()
    await rig.stop()
    await expectRestored(rig, other)
    other.close()
  })
})

describe('a tracker and the store', () => {
  it('calls an idle store not at all', async () => {
    const observed = new ObservedStore(new MemoryObjectStore())
    await using rig = new ReplicaRig(observed)
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    await rig.synced()
    await delay(50)
    const before = { ...observed.calls }
    await delay(500)
    expect({ ...observed.calls }).toEqual(before)
    db.exec('INSERT INTO t VALUES (1)')
    await rig.synced()
    expect(observed.calls.put).toBe(before.put + 1)
    expect(observed.calls.list).toBe(before.list)
    await rig.stop()
    db.close()
  })

  it('takes a snapshot after the interval, only if something has changed since the last', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start({ snapshots: { intervalMs: 60 } })
    await delay(250)
    expect(rig.count('snapshot')).toBe(0)
    db.exec('INSERT INTO t VALUES (1)')
    while (rig.count('snapshot') === 0) await delay(10)
    await delay(250)
    expect(rig.count('snapshot')).toBe(1)
    await rig.stop()
    const snapshots = (await rig.files()).filter((file) => file.level === 9)
    expect(snapshots.map((file) => file.maxTxid)).toEqual([1n, 2n])
    await expectRestored(rig, db)
    db.close()
  })

  it('drops no commit in an outage, and ships them in order when it is over', async () => {
    const store = new SwitchedStore(new MemoryObjectStore())
    await using rig = new ReplicaRig(store)
    const db = rig.open()
    db.exec('CREATE TABLE t (a)')
    await rig.start()
    store.failure = new StoreError('Unavailable', 'the store is away', { op: 'put' })
    for (let i = 0; i < 20; i++) {
      db.exec(`INSERT INTO t VALUES (${i})`)
      await delay(10)
    }
    expect(rig.count('store-error')).toBeGreaterThan(0)
    expect(store.failed).toBeGreaterThan(0)
    store.failure = undefined
    await rig.synced()
    expect(rig.count('store-recovered')).toBe(1)
    await rig.stop()
    await expectRestored(rig, db)
    db.close()
  })

  it('spools in an outage so that the WAL stays bounded; a later process ships the spool', async () => {
    const store = new SwitchedStore(new MemoryObjectStore())
    await using rig = new ReplicaRig(store)
    const spoolDir = join(rig.folder, 'spool')
    const options = { spoolDir, maxWalBytes: 1 << 20 }
    const db = rig.open('PRAGMA busy_timeout = 5000;')
    db.exec('CREATE TABLE t (a)')
    await rig.start(options)
    store.failure = new StoreError('Unavailable', 'the store is away', { op: 'put' })
    const until = Date.now() + 20_000
    const done = () => rig.events.some((event) => event.type === 'checkpoint' && event.complete)
    while (!done() && Date.now() < until) {
      // Nothing of ours may be waited for inside a statement: both run on this thread.
      db.exec('PRAGMA busy_timeout = 0')
      try {
        db.exec('INSERT INTO t VALUES (randomblob(20000))')
      } catch (error) {
        expect((error as { errcode: number }).errcode).toBe(5)
      }
      await delay(4)
    }
    expect(done()).toBe(true)
    const spooled = rig.events.filter((event) => event.type === 'spooling')
    expect(spooled[0]).toMatchObject({ reason: 'store-behind', isFirst: true })
    expect(spooled.slice(1).some((event) => event.isFirst)).toBe(false)
    expect(readdirSync(spoolDir).length).toBeGreaterThan(0)
    // The process ends while the store is still away.
    await rig.kill()
    store.failure = undefined
    await rig.start(options)
    await rig.synced()
    expect(rig.count('spool-recovered')).toBe(1)
    await rig.stop()
    expect(existsSync(spoolDir)).toBe(false)
    await expectRestored(rig, db)
    db.close()
  })
})

describe('two writers on one replica', () => {
  it('ends the writer whose slot holds a file from another history', async () => {
    const store = new MemoryObjectStore()
    await using one = new ReplicaRig(store)
    await using other = new ReplicaRig(store)
    const db = one.open()
    db.exec('CREATE TABLE t (a)')
    const foreign = other.open()
    foreign.exec('CREATE TABLE u (b)')
    await one.start()
    await one.synced()
    await other.start()
    foreign.exec('INSERT INTO u VALUES (1)')
    await other.synced()
    db.exec('INSERT INTO t VALUES (1)')
    await expect(one.engine.done()).rejects.toBeInstanceOf(FencedError)
    expect(one.count('fenced')).toBe(1)
    await other.stop()
    await expectRestored(other, foreign)
    db.close()
    foreign.close()
  })

  it('lets a one-shot snapshot share the history of a running watcher', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await rig.start()
    await rig.synced()
    db.exec('INSERT INTO t VALUES (2)')
    const taken = await takeSnapshot('app', rig.path, rig.store, 'ltx', { patienceMs: 500 })
    expect(taken.skipped).toBe(false)
    const again = await takeSnapshot('app', rig.path, rig.store, 'ltx', { patienceMs: 500 })
    expect(again).toMatchObject({ txid: taken.txid, skipped: true })
    db.exec('INSERT INTO t VALUES (3)')
    await rig.synced()
    expect(rig.count('fenced')).toBe(0)
    expect(rig.count('base')).toBe(1)
    await rig.stop()
    await expectRestored(rig, db)
    db.close()
  })

  it('takes a one-shot snapshot without a watcher, and a later watcher continues after it', async () => {
    await using rig = new ReplicaRig()
    const db = rig.open()
    db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    expect(await takeSnapshot('app', rig.path, rig.store, 'ltx')).toMatchObject({
      txid: 1n,
      skipped: false,
    })
    db.exec('INSERT INTO t VALUES (2)')
    const second = await takeSnapshot('app', rig.path, rig.store, 'ltx', { patienceMs: 50 })
    expect(second).toMatchObject({ txid: 2n, skipped: false })
    await rig.start()
    expect(rig.count('resumed')).toBe(1)
    await rig.stop()
    await expectRestored(rig, db)
    db.close()
  })
})
