import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { Engine, type EngineEvent } from '../../../src/core/engine/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { PrefixedStore } from '../../../src/core/store/index.ts'
import { contents } from '../../support/replica-rig.ts'
import { until } from '../../support/until.ts'

let folder: string
let store: MemoryObjectStore
let engine: Engine
let events: EngineEvent[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync rest '))
  store = new MemoryObjectStore()
  events = []
})
afterEach(async () => {
  await engine.stop(5000)
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('an idle database', () => {
  it('is closed and costs no request, and every later write of any kind is shipped without a new base', async () => {
    const names = ['a', 'b', 'c', 'd']
    for (const name of names) write(name, 'CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)')
    await start(names)
    await until(() => openFiles() === 0)
    const objects = await count()
    await delay(300)
    expect(await count()).toBe(objects)

    const writes = [
      // Open, write, close: the last close deletes the WAL each time.
      () => write('a', 'INSERT INTO t VALUES (3, 4)'),
      () => write('a', 'INSERT INTO t SELECT 5, randomblob(50000) FROM t'),
      () => write('a', 'DELETE FROM t WHERE a = 5; VACUUM'),
      () => write('a', 'INSERT INTO t VALUES (1700000000000000, 1700000000000000)'),
      // Five bits in one page, which a CRC-64 does not see.
      () => write('a', 'UPDATE t SET a = a + 16, b = b + 27 WHERE a = 1700000000000000'),
      // Several commits and restarts of the log before anyone looks.
      () => {
        for (let i = 0; i < 5; i++)
          write('a', `INSERT INTO t VALUES (${i}, 'x'); PRAGMA wal_checkpoint(TRUNCATE)`)
      },
    ]
    for (const one of writes) {
      one()
      await until(async () => (await restored('a')) === (await live('a')))
      await until(() => openFiles() === 0)
    }
    // A connection that stays open, so that its WAL stays too.
    const app = new DatabaseSync(path('b'))
    for (let i = 0; i < 3; i++) {
      app.exec(`INSERT INTO t VALUES (${i}, 'stays')`)
      await until(async () => (await restored('b')) === contents(app))
      await until(() => openFiles() === 0)
    }
    app.close()
    const woken = events.filter((event) => event.type === 'reopened')
    expect(woken.filter(({ proven }) => proven).length).toBeGreaterThan(0)
    expect(woken.filter(({ proven, pages }) => !proven && pages > 0).length).toBeGreaterThan(3)
    expect(events.filter(({ type }) => type === 'base')).toHaveLength(names.length)
    expect(events.filter(({ type }) => type === 'database-error')).toEqual([])
  }, 60_000)

  it('loses no write that is made at the very moment in which it is closed, again and again', async () => {
    const names = ['a', 'b', 'c', 'd']
    for (const name of names) write(name, 'CREATE TABLE t (a, b)')
    await start(names)
    const apps = new Map(names.slice(0, 2).map((name) => [name, new DatabaseSync(path(name))]))
    for (let i = 0; i < 32; i++) {
      const name = names[i % 4]!
      const sql = `INSERT INTO t VALUES (${i}, hex(randomblob(20)))`
      const app = apps.get(name)
      if (app === undefined) write(name, sql)
      else app.exec(sql)
      await delay(Math.random() * 320)
    }
    for (const name of names) {
      await until(async () => (await restored(name)) === (await live(name)))
    }
    for (const app of apps.values()) app.close()
    expect(events.filter(({ type }) => type === 'reopened').length).toBeGreaterThan(5)
    expect(events.filter(({ type }) => type === 'base')).toHaveLength(names.length)
  }, 60_000)

  it('stays open while there are unpublished frames, because their commit may be waiting for its fsync', async () => {
    const names = ['quiet', 'busy']
    for (const name of names) write(name, 'CREATE TABLE t (a, b)')
    const app = new DatabaseSync(path('busy'))
    app.exec('INSERT INTO t VALUES (1, 2)')
    // What a writer leaves that has written its frames and not yet published them.
    const wal = `${path('busy')}-wal`
    const { size } = statSync(wal)
    appendFileSync(wal, readFileSync(wal).subarray(32, 32 + 24 + 4096))
    await start(names)
    await until(() => isOpen('quiet') === false)
    await delay(500)
    expect(isOpen('busy')).toBe(true)

    truncateSync(wal, size)
    await until(() => isOpen('busy') === false)
    app.exec('INSERT INTO t VALUES (3, 4)')
    await until(async () => (await restored('busy')) === contents(app))
    app.close()
  }, 60_000)

  it('is reopened by a file event even if size and times are unchanged', async () => {
    const names = ['a', 'b']
    for (const name of names) write(name, 'CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2)')
    const app = new DatabaseSync(path('a'))
    app.exec('UPDATE t SET b = 3')
    const files = [path('a'), `${path('a')}-wal`]
    // Half a second is a number that a file system keeps exactly.
    const time = Math.floor(Date.now() / 1000) - 9.5
    for (const file of files) utimesSync(file, time, time)
    await start(names)
    await until(() => openFiles() === 0)
    const before = files.map((file) => statSync(file, { bigint: true }))
    app.exec('PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET b = 4')
    for (const [i, file] of files.entries()) {
      utimesSync(file, time, time)
      const { size, mtimeNs } = statSync(file, { bigint: true })
      expect({ size, mtimeNs }).toEqual({ size: before[i]!.size, mtimeNs: before[i]!.mtimeNs })
    }
    await until(async () => (await restored('a')) === contents(app))
    app.close()
  }, 60_000)

  it('is not closed while its times are recent whole seconds, because another write could leave the same times', async () => {
    const names = ['fine', 'coarse']
    for (const name of names) write(name, 'CREATE TABLE t (a, b)')
    const now = Math.floor(Date.now() / 1000)
    utimesSync(path('coarse'), now, now)
    await start(names)
    await until(() => isOpen('fine') === false)
    await until(() => events.some((event) => event.type === 'idle' && event.database === 'coarse'))
    expect(Date.now()).toBeGreaterThan((now + 2) * 1000)
  }, 60_000)

  it('is shipped at the end even if its last write has not been noticed yet', async () => {
    const names = ['a', 'b']
    for (const name of names) write(name, 'CREATE TABLE t (a, b)')
    await start(names)
    await until(() => openFiles() === 0)
    write('b', 'INSERT INTO t VALUES (7, 8)')
    expect(await engine.stop(5000)).toEqual([])
    expect(await restored('b')).toBe(await live('b'))
  })

  it('is reported when it is deleted or emptied, even if an application still writes to the deleted file', async () => {
    const names = ['deleted', 'emptied']
    for (const name of names) write(name, 'CREATE TABLE t (a, b)')
    const app = new DatabaseSync(path('deleted'))
    app.exec('INSERT INTO t VALUES (1, 2)')
    await start(names)
    await until(() => openFiles() === 0)
    for (const suffix of ['', '-wal', '-shm']) rmSync(path('deleted') + suffix, { force: true })
    truncateSync(path('emptied'), 0)
    app.exec('INSERT INTO t VALUES (3, 4)')
    await until(() => engine.status().every(({ state }) => state === 'waiting'))
    for (const { waitingSince } of engine.status()) expect(waitingSince).toBeInstanceOf(Date)
    for (const name of names) {
      const answer = engine.syncOne(name, { when: 'now', signal: AbortSignal.timeout(200) })
      await expect(answer, name).rejects.toThrow(/timeout/)
    }
    app.close()

    for (const name of names) write(name, 'CREATE TABLE IF NOT EXISTS t (a, b); DELETE FROM t')
    for (const name of names) await engine.syncOne(name, { when: 'now' })
    for (const name of names) expect(await restored(name)).toBe(await live(name))
    await until(() => engine.status().every(({ state }) => state === 'replicating'))
  })

  it('is found again after it was deleted and created again', async () => {
    const names = ['a', 'b']
    for (const name of names) write(name, 'CREATE TABLE t (a, b)')
    await start(names)
    await until(() => openFiles() === 0)
    for (const suffix of ['', '-wal', '-shm']) rmSync(path('a') + suffix, { force: true })
    await delay(50)
    write('a', 'CREATE TABLE other (c); INSERT INTO other VALUES (1)')
    await until(async () => (await restored('a')) === (await live('a')))
  })
})

async function start(names: readonly string[]): Promise<void> {
  engine = new Engine({
    databases: names.map((name) => ({
      name,
      path: path(name),
      store: new PrefixedStore(store, name),
      layout: 'ltx' as const,
      syncIntervalMs: 5,
      pollIntervalMs: 20,
    })),
    maxOpen: 0,
    idleAfterMs: 10,
    onEvent: (event) => events.push(event),
  })
  await engine.start()
}

function path(name: string): string {
  return join(folder, `${name}.db`)
}

function write(name: string, sql: string): void {
  const db = new DatabaseSync(path(name), { timeout: 5000 })
  db.exec(`PRAGMA journal_mode = WAL; ${sql}`)
  db.close()
}

async function live(name: string): Promise<string> {
  const db = new DatabaseSync(path(name), { readOnly: true })
  try {
    return contents(db)
  } finally {
    db.close()
  }
}

async function restored(name: string): Promise<string> {
  const output = join(folder, `restored-${name}`)
  const client = new ReplicaClient(new PrefixedStore(store, name), 'ltx')
  await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck: 'none', force: true })
  const db = new DatabaseSync(output)
  try {
    return contents(db)
  } finally {
    db.close()
  }
}

async function count(): Promise<number> {
  let objects = 0
  for await (const _ of store.list({})) objects++
  return objects
}

function isOpen(name: string): boolean | undefined {
  return engine.status().find((database) => database.name === name)?.isOpen
}

/** Databases that the engine holds open. */
function openFiles(): number {
  return engine.status().filter(({ isOpen }) => isOpen).length
}
