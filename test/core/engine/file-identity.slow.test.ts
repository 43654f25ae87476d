import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { Engine, type EngineDatabase, type EngineEvent } from '../../../src/core/engine/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { OutsideApp } from '../../support/outside-app.ts'
import { until } from '../../support/until.ts'

const ROWS = 'SELECT * FROM t ORDER BY id'
let folder: string
let path: string
let store: MemoryObjectStore
let events: EngineEvent[]
let engine: Engine | undefined
let apps: OutsideApp[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync files '))
  mkdirSync(join(folder, 'one'))
  mkdirSync(join(folder, 'two'))
  path = join(folder, 'one', 'app.db')
  store = new MemoryObjectStore()
  events = []
  apps = []
})
afterEach(async () => {
  for (const app of apps) await app.kill()
  await engine?.stop(5000).catch(() => undefined)
  await engine?.close()
  engine = undefined
  rmSync(folder, { recursive: true, force: true })
})

interface Game {
  readonly name: string
  /** Does something to the files of the database at `path`. */
  readonly play: () => Promise<void> | void
}

/** What people and their tools do to files. */
const GAMES: readonly Game[] = [
  { name: '-wal and -shm are removed', play: () => remove('-wal', '-shm') },
  { name: '-wal is removed', play: () => remove('-wal') },
  { name: '-shm is removed', play: () => remove('-shm') },
  {
    name: 'another database is renamed over it',
    play: async () => renameSync(await another(), path),
  },
  {
    name: 'another database takes its place and the sidecars go',
    play: async () => {
      const other = await another()
      remove('', '-wal', '-shm')
      renameSync(other, path)
    },
  },
  {
    name: 'another database is copied over it and the sidecars go',
    play: async () => {
      const other = await another()
      remove('-wal', '-shm')
      copyFileSync(other, path)
    },
  },
  {
    name: 'an older copy is copied over it and the sidecars go',
    play: () => {
      remove('-wal', '-shm')
      copyFileSync(join(folder, 'older.db'), path)
    },
  },
  { name: 'it is deleted', play: () => remove('', '-wal', '-shm') },
  {
    name: 'its folder is moved away and another one comes',
    play: async () => {
      await another()
      renameSync(join(folder, 'one'), join(folder, 'gone'))
      renameSync(join(folder, 'two'), join(folder, 'one'))
      renameSync(join(folder, 'one', 'other.db'), path)
    },
  },
]

const ORDERS = GAMES.flatMap((game) =>
  (['up', 'down', 'killed'] as const).flatMap((app) =>
    (['goes on', 'restarts', 'reloads'] as const).map((walsync) => ({ game, app, walsync })),
  ),
)

describe('files of a database that people touch', () => {
  it.each(ORDERS)(
    'are followed or reported: $game.name, the app $app, walsync $walsync',
    async ({ game, app: state, walsync }) => {
      const app = await open()
      await fill(app, 'before')
      await app.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      copyFileSync(path, join(folder, 'older.db'))
      await fill(app, 'later')
      await start()
      await until(async () => (await restored()) === (await app.query(ROWS)))
      if (state === 'down') await app.close()
      if (state === 'killed') await app.kill()
      await game.play()
      const main = existsSync(path) ? readFileSync(path) : undefined
      if (walsync === 'restarts') {
        await engine?.stop(2000).catch(() => undefined)
        await engine?.close()
        if (main !== undefined) expect(readFileSync(path)).toEqual(main)
        engine = undefined
        // Where an application still uses a log without a name, the start itself says that it cannot.
        if (existsSync(path)) await start().catch(giveUp)
      }
      if (walsync === 'reloads') {
        await engine!.remove('app', 2000).catch(() => undefined)
        if (main !== undefined) expect(readFileSync(path)).toEqual(main)
        if (existsSync(path)) await engine!.add(database()).catch(giveUp)
        else await engine!.close().then(() => (engine = undefined))
      }
      await until(() => isReported() || isBasedAnew() || hasResumed())
      if (main !== undefined) expect(readFileSync(path).equals(main)).toBe(true)
      // The application starts again, and from then on the replica is what it sees.
      if (state === 'up') await app.kill()
      const next = await open()
      await fill(next, 'after')
      if (engine === undefined) await start()
      const rows = await next.query(ROWS)
      await until(async () => (await restored()) === rows)
      expect(await next.query('PRAGMA integrity_check')).toContain('"ok"')
      expect(await next.query(ROWS)).toBe(rows)
    },
    60_000,
  )

  it('never reach the live file from a log that is no longer its own', async () => {
    const app = await open()
    await fill(app, 'old')
    await start()
    await until(async () => (await restored()) === (await app.query(ROWS)))
    await app.kill()
    remove('-wal', '-shm')
    const next = await open()
    await next.exec("DELETE FROM t; INSERT INTO t(v) VALUES ('new')")
    await next.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    await next.kill()
    const main = readFileSync(path)
    await engine?.stop(0).catch(() => undefined)
    await engine?.close()
    engine = undefined
    expect(readFileSync(path).equals(main)).toBe(true)
  }, 60_000)

  it('are reported as removed while the application continues, and its commits are shipped', async () => {
    const app = await open()
    await fill(app, 'before')
    await start()
    await until(async () => (await restored()) === (await app.query(ROWS)))
    remove('-wal', '-shm')
    await until(() => status().lastError !== undefined)
    expect(status().lastError).toMatch(
      /-(wal|shm) was removed while it was in use; restart the application/,
    )
    await fill(app, 'in files without a name')
    const rows = await app.query(ROWS)
    await until(async () => (await restored()) === rows)
    expect(existsSync(`${path}-wal`)).toBe(false)
  }, 60_000)

  it('are closed when a link leads elsewhere, and the other database is replicated', async () => {
    const real = path
    path = join(folder, 'app.db')
    symlinkSync(real, path)
    const app = await open()
    await fill(app, 'first')
    await start()
    await until(async () => (await restored()) === (await app.query(ROWS)))
    await app.close()
    const main = readFileSync(real)
    const other = await another()
    symlinkSync(other, `${path}.new`)
    renameSync(`${path}.new`, path)
    const next = await open()
    await fill(next, 'second')
    const rows = await next.query(ROWS)
    await until(async () => (await restored()) === rows)
    expect(readFileSync(real).equals(main)).toBe(true)
  }, 60_000)

  it.each([true, false])(
    'are noticed when a copy is put over them in place (all of the log copied before: %s)',
    async (isCopied) => {
      const app = await open()
      await fill(app, 'before')
      await start()
      await until(async () => (await restored()) === (await app.query(ROWS)))
      if (isCopied) await app.exec('PRAGMA wal_checkpoint(PASSIVE)')
      await app.kill()
      const other = await another()
      copyFileSync(other, path)
      const main = readFileSync(path)
      await until(() => reasons().some((reason) => reason.includes('does not use its log')))
      await until(() => isBasedAnew() || isReported())
      expect(readFileSync(path).equals(main)).toBe(true)
    },
    60_000,
  )

  it('are copied as one database when another takes its place before the first copy', async () => {
    const app = await open()
    await fill(app, 'before')
    let isReplaced = false
    store.list = async function* (this: MemoryObjectStore, ...args) {
      if (!isReplaced) {
        isReplaced = true
        const other = await another()
        await app.kill()
        remove('', '-wal', '-shm')
        renameSync(other, path)
        await (await open()).exec("INSERT INTO t(v) VALUES ('of the other')")
      }
      yield* MemoryObjectStore.prototype.list.apply(this, args)
    }
    await start()
    expect(isReplaced).toBe(true)
    const rows = await apps.at(-1)!.query(ROWS)
    await until(async () => (await restored()) === rows)
  }, 60_000)

  it('are waited for when the database is emptied, and nothing is touched', async () => {
    const app = await open()
    await fill(app, 'before')
    await start()
    await until(async () => (await restored()) === (await app.query(ROWS)))
    await app.kill()
    const wal = readFileSync(`${path}-wal`)
    truncateSync(path)
    await until(() => status().state === 'waiting')
    expect(readFileSync(path)).toHaveLength(0)
    expect(readFileSync(`${path}-wal`).equals(wal)).toBe(true)
  }, 60_000)

  it('are refused when the main file has another name, for its log may be elsewhere', async () => {
    const app = await open()
    await fill(app, 'before')
    linkSync(path, join(folder, 'two', 'app.db'))
    await expect(start()).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('has 2 hard links'),
    })
  })

  it('are refused if the main file is itself a mount point', async ({ skip }) => {
    const app = await open()
    await fill(app, 'before')
    await app.close()
    const mounted = join(folder, 'two', 'mounted.db')
    copyFileSync(path, mounted)
    try {
      execFileSync('mount', ['--bind', path, mounted], { stdio: 'ignore' })
    } catch {
      skip('bind mounts need root and CAP_SYS_ADMIN')
    }
    path = mounted
    try {
      await expect(start()).rejects.toMatchObject({
        code: 'Unsupported',
        message: expect.stringContaining('is itself a mount point'),
      })
    } finally {
      execFileSync('umount', [mounted])
    }
  })
})

async function open(): Promise<OutsideApp> {
  const app = await OutsideApp.open(path)
  apps.push(app)
  return app
}

async function fill(app: OutsideApp, text: string): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await app.exec(`INSERT INTO t(v) VALUES ('${text} ${i}' || hex(randomblob(900)))`)
  }
}

/** A database with rows of its own, closed, in another folder. */
async function another(): Promise<string> {
  const other = join(folder, 'two', 'other.db')
  const app = await OutsideApp.open(other)
  await fill(app, 'another')
  await fill(app, 'another')
  await app.close()
  return other
}

function remove(...suffixes: string[]): void {
  for (const suffix of suffixes) rmSync(path + suffix, { force: true })
}

function database(): EngineDatabase {
  return {
    name: 'app',
    path,
    store,
    layout: 'ltx',
    syncIntervalMs: 5,
    pollIntervalMs: 50,
    snapshots: { intervalMs: 0 },
    levels: [],
  }
}

async function start(): Promise<void> {
  engine = new Engine({ databases: [database()], onEvent: (event) => events.push(event) })
  await engine.start()
}

/** A start that is refused is a report, too. */
async function giveUp(error: unknown): Promise<void> {
  expect(error).toMatchObject({ name: 'DatabaseError' })
  await engine?.close()
  engine = undefined
}

function status() {
  return engine!.status()[0]!
}

/** Does `status` say that something is not as it should be? */
function isReported(): boolean {
  return engine === undefined || status().lastError !== undefined || status().state === 'waiting'
}

function reasons(): string[] {
  return events.flatMap((event) => (event.type === 'waiting' ? [event.reason] : []))
}

function isBasedAnew(): boolean {
  return events.filter(({ type }) => type === 'base').length > 1
}

/** The log itself proves that nothing is missing: `-shm` alone can always be made anew. */
function hasResumed(): boolean {
  return events.some(({ type }) => type === 'resumed')
}

/** Rows that the replica gives back, as JSON. */
async function restored(): Promise<string> {
  const output = join(folder, `restored ${events.length}.db`)
  rmSync(output, { force: true })
  try {
    await restoreReplica(new ReplicaClient(store, 'ltx'), { kind: 'latest' }, output)
  } catch {
    return 'nothing'
  }
  const app = await OutsideApp.open(output)
  try {
    return await app.query(ROWS)
  } finally {
    await app.kill()
    for (const suffix of ['', '-wal', '-shm']) rmSync(output + suffix, { force: true })
  }
}
