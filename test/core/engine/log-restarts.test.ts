import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { readView, SourceDatabase } from '../../../src/core/db/index.ts'
import { takeSnapshot } from '../../../src/core/engine/snapshots/take-snapshot.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

// SQLite keeps the checkpoint sequence by connection: one that has not restarted the log itself
// writes the next header with a sequence of its own, or begins with random salts.
describe('a log that several connections restart', () => {
  it('is followed without a new base, whoever restarts it and whoever writes next', async () => {
    await using rig = new ReplicaRig()
    const apps = [rig.open(), rig.open(), rig.open()]
    apps[0]!.exec('CREATE TABLE t (a)')
    await rig.start()
    for (let i = 0; i < 24; i++) {
      const [restarter, writer] = [apps[i % 3]!, apps[(i + (i >> 2)) % 3]!]
      writer.exec(`INSERT INTO t VALUES (${i})`)
      await rig.synced()
      await restart(restarter, i % 5 < 3 ? 'TRUNCATE' : 'RESTART')
    }
    await rig.synced()
    expect(rig.events.filter(({ type }) => type === 'continuity-lost')).toEqual([])
    expect(bases(rig)).toEqual(['the replica is empty'])
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(apps[0]!))
    for (const db of [restored, ...apps]) db.close()
  })

  it('is resumed at a start after one restart, by whichever connection', async () => {
    await using rig = new ReplicaRig()
    const apps = [rig.open(), rig.open()]
    apps[0]!.exec('CREATE TABLE t (a)')
    const write = (times: number, app = apps[0]!) => {
      for (let i = 0; i < times; i++) app.exec('INSERT INTO t VALUES (randomblob(3000))')
    }
    write(40)
    apps[0]!.exec('PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES (1)')
    await rig.start()
    for (let i = 0; i < 4; i++) {
      const app = apps[i % 2]!
      // Each run shorter than the one before, or else what proves its end would be overwritten.
      write(20 - 4 * i, app)
      await rig.synced()
      await rig.kill()
      app.exec('PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES (2)')
      await rig.start()
      await rig.synced()
    }
    expect(bases(rig)).toEqual(['the replica is empty'])
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(apps[0]!))
    for (const db of [restored, ...apps]) db.close()
  })
})

describe('a log that is restarted before the frames found at a start were captured', () => {
  it.each([
    ['by being cut off', 'PRAGMA wal_checkpoint(TRUNCATE)'],
    ['by the next commit', 'INSERT INTO t VALUES (3)'],
  ])('is replaced by a new base: %s', async (_, sql) => {
    await using rig = new ReplicaRig()
    const app = await checkpointedWhileStopped(rig)
    await rig.start()
    // All of the log is in the main file, so a mark in it does not keep it from a restart.
    app.exec(sql)
    await rig.synced()
    const restored = await rig.restore()
    expect(contents(restored)).toBe(contents(app))
    expect(rig.count('continuity-lost')).toBe(1)
    for (const db of [restored, app]) db.close()
  })
})

it('a log that is cut off while a single snapshot waits for a watcher is in the snapshot all the same', async () => {
  await using rig = new ReplicaRig()
  const app = await checkpointedWhileStopped(rig)
  const taken = takeSnapshot('app', rig.path, rig.store, 'ltx', { patienceMs: 300 })
  await delay(150)
  app.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  await taken
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(app))
  for (const db of [restored, app]) db.close()
})

/** @returns the connection of an application whose last commit was copied, but not replicated */
async function checkpointedWhileStopped(rig: ReplicaRig): Promise<DatabaseSync> {
  const app = rig.open()
  app.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
  await rig.start()
  await rig.synced()
  await rig.stop()
  app.exec('INSERT INTO t VALUES (2); PRAGMA wal_checkpoint(PASSIVE)')
  return app
}

describe('a log that was just truncated', () => {
  it('leaves a view of the whole database: snapshots, fences and rests need one', async () => {
    await using rig = new ReplicaRig()
    const app = rig.open()
    app.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    const source = SourceDatabase.open(rig.path)!
    await source.capture.pinFullView()
    app.exec('INSERT INTO t VALUES (2)')
    source.capture.advance((await source.capture.scan())!)
    app.exec('PRAGMA wal_checkpoint(PASSIVE)')
    source.capture.releaseIdleMark()
    app.exec('PRAGMA wal_checkpoint(PASSIVE)')
    source.capture.releaseIdleMark()
    app.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    expect(source.wal.size()).toBe(0)
    expect(await source.capture.view()).toMatchObject({ commit: 2, pages: undefined })
    source.close()
    app.close()
  })

  it('needs no WAL for what is left of a copy that began before', async () => {
    await using rig = new ReplicaRig()
    const app = rig.open('PRAGMA wal_autocheckpoint = 0')
    app.exec('CREATE TABLE t (a)')
    const source = SourceDatabase.open(rig.path)!
    await source.capture.pinFullView()
    for (let i = 0; i < 300; i++) app.exec('INSERT INTO t VALUES (randomblob(4000))')
    source.capture.advance((await source.capture.scan())!)
    app.exec('PRAGMA wal_checkpoint(PASSIVE)')
    source.capture.releaseIdleMark()
    app.exec('PRAGMA wal_checkpoint(PASSIVE)')
    source.capture.releaseIdleMark()
    const view = await source.capture.view()
    expect(view.pages!.size).toBeGreaterThan(256)
    const pages = []
    for (const { pgno } of readView(source, view, 0)) {
      if (pgno === 1) app.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      pages.push(pgno)
    }
    expect(source.wal.size()).toBe(0)
    expect(pages).toEqual(Array.from({ length: view.commit }, (_, i) => i + 1))
    source.close()
    app.close()
  })

  it('does not delay a snapshot', async () => {
    await using rig = new ReplicaRig(new MemoryObjectStore())
    const app = rig.open()
    app.exec('CREATE TABLE t (a)')
    await rig.start({ snapshots: { intervalMs: 300 } })
    app.exec('INSERT INTO t VALUES (2)')
    await rig.synced()
    await restart(app, 'TRUNCATE')
    await delay(700)
    expect(rig.events.filter(({ type }) => type === 'store-error')).toEqual([])
    expect(rig.count('snapshot')).toBe(1)
    expect(bases(rig)).toEqual(['the replica is empty'])
    app.close()
  })
})

/** The checkpoint of an application; the tracker of this very thread must let it pass in between. */
async function restart(db: DatabaseSync, mode: 'RESTART' | 'TRUNCATE'): Promise<void> {
  db.exec('PRAGMA busy_timeout = 0')
  for (let tries = 0; tries < 200; tries++) {
    const { busy } = db.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as { busy: number }
    if (busy === 0) return
    await delay(5)
  }
  throw new Error('the log could not be restarted')
}

function bases({ events }: ReplicaRig): string[] {
  return events.filter((event) => event.type === 'base').map(({ reason }) => reason)
}
