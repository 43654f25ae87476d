import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { Engine, type EngineEvent } from '../../../src/core/engine/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { OutsideApp } from '../../support/outside-app.ts'
import { until } from '../../support/until.ts'

const ROWS = 'SELECT * FROM t ORDER BY id'
let folder: string
let path: string
let store: MemoryObjectStore
let events: EngineEvent[]
let engine: Engine
let apps: OutsideApp[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync log '))
  path = join(folder, 'app.db')
  store = new MemoryObjectStore()
  events = []
  apps = []
  engine = new Engine({
    databases: [
      {
        name: 'app',
        path,
        store,
        layout: 'ltx',
        syncIntervalMs: 5,
        pollIntervalMs: 50,
        snapshots: { intervalMs: 0 },
        levels: [],
      },
    ],
    onEvent: (event) => events.push(event),
  })
})
afterEach(async () => {
  for (const app of apps) await app.kill()
  await engine.stop(5000).catch(() => undefined)
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The log keeps its name and its inode; `-shm` stays as it was. */
const GAMES: readonly { readonly name: string; readonly play: () => Promise<void> | void }[] = [
  { name: 'the log is emptied', play: () => truncateSync(`${path}-wal`) },
  {
    name: 'the log is cut off',
    play: () => truncateSync(`${path}-wal`, statSync(`${path}-wal`).size / 2),
  },
  {
    name: "another database's log is copied over it",
    play: async () => {
      const other = await open(join(folder, 'other.db'))
      for (let i = 0; i < 9; i++) await fill(other, 'of the other')
      writeFileSync(`${path}-wal`, readFileSync(join(folder, 'other.db-wal')))
    },
  },
  {
    name: 'main file and log are copied back from a backup',
    play: () => {
      copyFileSync(join(folder, 'backup.db'), path)
      copyFileSync(join(folder, 'backup.db-wal'), `${path}-wal`)
    },
  },
]

describe('a log that is written over in place', () => {
  it.each(GAMES.flatMap((game) => ['killed', 'up'].map((state) => ({ game, state }))))(
    'is closed and never shipped, and the next start of the application is replicated: $game.name, the app $state',
    async ({ game, state }) => {
      const app = await open(path)
      for (let i = 0; i < 5; i++) await fill(app, 'before')
      for (const suffix of ['', '-wal']) copyFileSync(path + suffix, `${folder}/backup.db${suffix}`)
      await app.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      await fill(app, 'later')
      await engine.start()
      const rows = await app.query(ROWS)
      await until(async () => (await restored()) === rows)
      if (state === 'killed') await app.kill()
      await game.play()
      const main = readFileSync(path)
      await until(() => reasons().some((reason) => reason.includes('-wal was overwritten or cut')))
      await until(() => isBasedAnew() || engine.status()[0]!.lastError !== undefined)
      expect(readFileSync(path).equals(main)).toBe(true)
      await app.kill()
      // Nobody holds the index any more: walsync makes it anew, or the application does.
      await until(() => isBasedAnew())
      const next = await open(path)
      await fill(next, 'after')
      const now = await next.query(ROWS)
      await until(async () => (await restored()) === now)
    },
    60_000,
  )
})

async function open(file: string): Promise<OutsideApp> {
  const app = await OutsideApp.open(file)
  apps.push(app)
  return app
}

async function fill(app: OutsideApp, text: string): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await app.exec(`INSERT INTO t(v) VALUES ('${text} ${i}' || hex(randomblob(900)))`)
  }
}

function reasons(): string[] {
  return events.flatMap((event) => (event.type === 'waiting' ? [event.reason] : []))
}

function isBasedAnew(): boolean {
  return events.filter(({ type }) => type === 'base').length > 1
}

/** Rows that the replica gives back, as JSON. */
async function restored(): Promise<string> {
  const output = join(folder, 'restored.db')
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
