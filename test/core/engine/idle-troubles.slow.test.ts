import { mkdtempSync, rmSync, statSync, symlinkSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { SourceDatabase } from '../../../src/core/db/index.ts'
import { Engine, type EngineDatabase, type EngineEvent } from '../../../src/core/engine/index.ts'
import { takeSnapshot } from '../../../src/core/engine/snapshots/take-snapshot.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import { contents } from '../../support/replica-rig.ts'
import { until } from '../../support/until.ts'

const POLL_MS = 20

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
  await engine.stop(5000).catch(() => undefined)
  await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('an idle database', () => {
  it('may get a snapshot from another process, and its watcher continues', async () => {
    write('app', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await start()
    await until(rests)
    await takeSnapshot('app', path('app'), store, 'ltx', { patienceMs: 300 })
    write('app', 'INSERT INTO t VALUES (2)')
    await until(isShipped)
    expect(events.filter(({ type }) => type === 'fenced')).toEqual([])
  })

  it('is found again through a link whose target has changed', async () => {
    write('old', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    write('new', 'CREATE TABLE t (a); INSERT INTO t VALUES (2), (3)')
    symlinkSync(path('old'), path('app'))
    await start()
    await until(rests)
    rmSync(path('app'))
    symlinkSync(path('new'), path('app'))
    // Nothing happens in the folder that is watched: the look behind it comes every 10 s.
    await until(() => events.some(({ type }) => type === 'reopened'))
    await until(isShipped)
  }, 20_000)

  it('whose link dangles for a while is waited for', async () => {
    write('old', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    symlinkSync(path('old'), path('app'))
    await start()
    await until(rests)
    rmSync(path('app'))
    symlinkSync(path('app'), path('app'))
    expect(() => statSync(path('app'))).toThrow('ELOOP')
    // The file event comes while the link cannot be followed.
    write('old', 'INSERT INTO t VALUES (2)')
    await delay(100)
    rmSync(path('app'))
    symlinkSync(path('old'), path('app'))
    write('old', 'INSERT INTO t VALUES (3)')
    await until(isShipped)
    expect(events.filter(({ type }) => type === 'base')).toHaveLength(1)
  })

  it('is closed through a link while an application has a connection', async () => {
    const app = new DatabaseSync(path('real'))
    app.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    symlinkSync(path('real'), path('app'))
    await start()
    await until(rests)
    await delay(300)
    expect(events.filter(({ type }) => type === 'idle')).toHaveLength(1)
    app.close()
  })

  it('gets a new base if it has grown beyond what memory should hold', async () => {
    write('app', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await start()
    await until(rests)
    write(
      'app',
      'INSERT INTO t SELECT randomblob(1000000) FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16), (17), (18), (19), (20))',
    )
    await until(isShipped)
    expect(events.filter(({ type }) => type === 'base')).toHaveLength(2)
  })

  it('that is emptied while a snapshot is due is checked no more often than any other', async () => {
    write('app', 'CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    await start({ snapshots: { intervalMs: 2500 } })
    await until(rests)
    write('app', 'INSERT INTO t VALUES (2)')
    await until(() => events.some(({ type }) => type === 'synced'))
    await until(rests)
    truncateSync(path('app'), 0)
    expect(events.filter(({ type }) => type === 'snapshot')).toEqual([])
    await delay(2600)
    const looks = vi.spyOn(SourceDatabase, 'open')
    await delay(500)
    expect(looks.mock.calls.length).toBeGreaterThan(0)
    expect(looks.mock.calls.length).toBeLessThanOrEqual(500 / POLL_MS + 2)
    looks.mockRestore()
  })
})

async function start(options: Partial<EngineDatabase> = {}): Promise<void> {
  engine = new Engine({
    databases: [
      {
        name: 'app',
        path: path('app'),
        store,
        layout: 'ltx',
        syncIntervalMs: 5,
        pollIntervalMs: POLL_MS,
        snapshots: { intervalMs: 0 },
        ...options,
      },
    ],
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

function rests(): boolean {
  const last = events.findLast(({ type }) => type === 'idle' || type === 'reopened')
  return last?.type === 'idle' && !engine.status()[0]!.isOpen
}

/** Does the replica hold what the database holds? */
async function isShipped(): Promise<boolean> {
  const output = join(folder, 'restored')
  const client = new ReplicaClient(store, 'ltx')
  await restoreReplica(client, { kind: 'latest' }, output, { integrityCheck: 'none', force: true })
  const [live, restored] = [path('app'), output].map((file) => {
    const db = new DatabaseSync(file, { readOnly: true })
    try {
      return contents(db)
    } finally {
      db.close()
    }
  })
  return live === restored
}
