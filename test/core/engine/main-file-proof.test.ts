import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { OutsideApp } from '../../support/outside-app.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { until } from '../../support/until.ts'

const WRONG_FILE = 'the main file is not the one that its WAL belongs to'

describe('a start that the WAL proves', () => {
  for (const isAppUp of [true, false]) {
    it(`takes a base where the main file under it was overwritten, with the app ${isAppUp ? 'up' : 'killed'}`, async () => {
      await using rig = new ReplicaRig()
      const app = await replicated(rig)
      try {
        await rig.stop()
        if (!isAppUp) await app.kill()
        const log = readFileSync(`${rig.path}-wal`)
        const before = readFileSync(rig.path)
        overwrite(rig.path, await otherDatabase(rig))
        expect(readFileSync(rig.path).equals(before), 'nothing was overwritten').toBe(false)
        await rig.start()
        await rig.synced()
        expect(readFileSync(`${rig.path}-wal`).equals(log), 'the log has not stayed').toBe(true)
        expect(rig.events).toContainEqual(
          expect.objectContaining({ type: 'base', reason: WRONG_FILE }),
        )
        expect(rig.count('resumed')).toBe(0)
        await expectFreshView(rig)
        // It goes on from there.
        const other = await OutsideApp.open(rig.path)
        await other.exec("UPDATE t SET v = 'again' WHERE id = 7")
        await rig.synced()
        await expectFreshView(rig)
        await other.kill()
        await rig.stop()
        expect(rig.count('base')).toBe(2)
      } finally {
        await app.kill()
      }
    })
  }

  it('asks for the checksum of the newest file once, and takes no base where it is that', async () => {
    const calls: string[] = []
    const hooks: StoreHooks = {}
    await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
    const app = await replicated(rig)
    try {
      await rig.stop()
      const newest = await newestOf(rig)
      hooks.onCall = (name, key) => calls.push(`${name} ${key}`)
      await rig.start()
      await rig.synced()
      await rig.stop()
      // The header, and the last bytes.
      expect(calls.filter((call) => call === `get ${newest.key}`)).toHaveLength(2)
      expect(calls.filter((call) => /^put .*\.ltx$/.test(call))).toEqual([])
      expect(rig.count('resumed')).toBe(1)
      expect(rig.count('base')).toBe(1)
    } finally {
      await app.kill()
    }
  })

  it('reports that it resumes only once that is proven, whatever the store does in the meantime', async () => {
    const { hooks, failed } = failingOnce()
    await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
    const app = await replicated(rig)
    try {
      await rig.stop()
      hooks.get = failed.hook((await newestOf(rig)).key)
      await rig.start()
      await rig.synced()
      expect(failed.count).toBe(1)
      expect(rig.count('resumed')).toBe(1)
      await rig.stop()
      expect(rig.count('base')).toBe(1)
    } finally {
      await app.kill()
    }
  })
})

describe('a start that the WAL does not prove', () => {
  it('captures nothing before it has a proof or a base, whatever the store does in the meantime', async () => {
    const { hooks, failed } = failingOnce()
    await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
    const app = await replicated(rig)
    try {
      await rig.stop()
      await app.exec("UPDATE t SET v = 'unseen' WHERE id = 200")
      await app.close()
      hooks.get = failed.hook((await newestOf(rig)).key)
      await rig.start()
      await rig.synced()
      expect(failed.count).toBe(1)
      await rig.stop()
      expect(rig.count('base')).toBe(2)
      await expectFreshView(rig)
    } finally {
      await app.kill()
    }
  })
})

describe('a running replication', () => {
  for (const mode of ['FULL', 'TRUNCATE']) {
    it(`takes a base if the main file is overwritten after a ${mode} checkpoint and an application writes at once`, async () => {
      await using rig = new ReplicaRig()
      // On their own the files would be checked after an hour, when a new run of the log explains the change.
      const app = await replicated(rig, { pollIntervalMs: 3_600_000 })
      try {
        const [other] = await Promise.all([otherDatabase(rig), copied(app, mode)])
        await rig.synced()
        await app.close()
        const copy = join(rig.folder, 'copy.db')
        writeFileSync(copy, other)
        // In a process of its own: closing a descriptor would drop the locks of this one.
        execFileSync('cp', [copy, rig.path])
        expect(rig.count('waiting')).toBe(0)
        const next = await OutsideApp.open(rig.path)
        await next.exec("UPDATE t SET v = 'again' WHERE id = 7")
        await rig.synced()
        await expectFreshView(rig)
        await next.kill()
        expect(rig.count('base')).toBe(2)
      } finally {
        await app.kill()
      }
    })
  }
})

/** Resolves when all of the log has been copied into the main file. */
async function copied(app: OutsideApp, mode: string): Promise<void> {
  await until(async () => {
    const [row] = JSON.parse(await app.query(`PRAGMA wal_checkpoint(${mode})`))
    return row.busy === 0 && row.log === row.checkpointed
  })
}

/** The second read of one file fails, once: after its header, its checksums are asked for. */
function failingOnce() {
  const hooks: StoreHooks = {}
  const failed = {
    count: 0,
    hook(failing: string): StoreHooks['get'] {
      let reads = 0
      return async (key, go) => {
        if (key === failing) reads += 1
        if (key !== failing || reads !== 2 || failed.count > 0) return await go()
        failed.count += 1
        throw new StoreError('Unavailable', 'gone for a moment', { op: 'get', key })
      }
    },
  }
  return { hooks, failed }
}

async function newestOf(rig: ReplicaRig) {
  return (await rig.files()).filter(({ level }) => level === 0).at(-1)!
}

const ROWS = 300
const FILL = (word: string) =>
  `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
   INSERT INTO t SELECT i, '${word}' || printf('%0200d', i) FROM n`.replaceAll('\n', ' ')

/** A replica with two files; the log holds a few pages of the database, the main file the rest. */
async function replicated(
  rig: ReplicaRig,
  options: Parameters<ReplicaRig['start']>[0] = {},
): Promise<OutsideApp> {
  const app = await OutsideApp.open(rig.path)
  await app.exec(FILL('mine '))
  await app.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  await app.exec("UPDATE t SET v = 'first' WHERE id = 1")
  await rig.start(options)
  await rig.synced()
  await app.exec("UPDATE t SET v = 'second' WHERE id = 1")
  await rig.synced()
  return app
}

/** Of the same tables and pages, with other rows. */
async function otherDatabase(rig: ReplicaRig): Promise<Buffer> {
  const path = join(rig.folder, 'other.db')
  const other = await OutsideApp.open(path)
  await other.exec(FILL('other'))
  await other.close()
  return readFileSync(path)
}

/** As `cp` does it: the same inode. */
function overwrite(path: string, bytes: Buffer): void {
  const file = openSync(path, 'r+')
  writeSync(file, bytes, 0, bytes.length, 0)
  closeSync(file)
}

async function expectFreshView(rig: ReplicaRig): Promise<void> {
  const fresh = await OutsideApp.open(rig.path)
  const rows = await fresh.query('SELECT * FROM t ORDER BY id')
  await fresh.kill()
  expect(JSON.parse(rows)).toHaveLength(ROWS)
  const restored = await rig.restore()
  const text = contents(restored)
  restored.close()
  const expected = join(rig.folder, 'expected.db')
  const db = new DatabaseSync(expected)
  db.exec('DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  const insert = db.prepare('INSERT INTO t VALUES (?, ?)')
  for (const { id, v } of JSON.parse(rows) as { id: number; v: string }[]) insert.run(id, v)
  const wanted = contents(db)
  db.close()
  const rowsOf = (all: string) => all.slice(all.indexOf('\n'))
  expect(rowsOf(text) === rowsOf(wanted)).toBe(true)
}
