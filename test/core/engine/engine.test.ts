import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { SourceDatabase } from '../../../src/core/db/index.ts'
import { Engine, type EngineEvent } from '../../../src/core/engine/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { PrefixedStore, StoreError } from '../../../src/core/store/index.ts'
import { SwitchedStore } from '../../support/switched-store.ts'

let folder: string
let events: EngineEvent[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync engine '))
  events = []
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function database(name: string): DatabaseSync {
  const db = new DatabaseSync(join(folder, `${name}.db`), { timeout: 5000 })
  db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)')
  return db
}

function engineOf(
  paths: Record<string, string>,
  store = new MemoryObjectStore(),
  switched?: SwitchedStore,
) {
  return new Engine({
    databases: Object.entries(paths).map(([name, path]) => ({
      name,
      path,
      store: name === 'ill' && switched ? switched : new PrefixedStore(store, name),
      layout: 'ltx' as const,
      syncIntervalMs: 10,
      pollIntervalMs: 10,
    })),
    onEvent: (event) => events.push(event),
  })
}

describe('many databases in one process', () => {
  it('go on while the store of one is away', async () => {
    const [well, ill] = [database('well'), database('ill')]
    const switched = new SwitchedStore(new MemoryObjectStore())
    const paths = { well: join(folder, 'well.db'), ill: join(folder, 'ill.db') }
    const engine = engineOf(paths, undefined, switched)
    await engine.start()
    switched.failure = new StoreError('Unavailable', 'away', { op: 'put' })
    ill.exec('INSERT INTO t VALUES (2)')
    while (!events.some((event) => event.type === 'store-error')) await tick()
    for (let i = 0; i < 5; i++) {
      const before = engine.status()[0]!.txid!
      well.exec(`INSERT INTO t VALUES (${i})`)
      while (engine.status()[0]!.txid === before) await tick()
    }
    expect(engine.status()[1]!.pendingFiles).toBe(1)
    switched.failure = undefined
    await engine.sync()
    expect(await engine.stop(5000)).toEqual([])
    await engine.close()
  })

  it('are refused, and nothing is written, if one of them cannot be replicated', async () => {
    database('good')
    const text = join(folder, 'text.db')
    writeFileSync(text, 'x'.repeat(5000))
    const rollback = new DatabaseSync(join(folder, 'rollback.db'))
    rollback.exec('CREATE TABLE t (a)')
    const store = new MemoryObjectStore()
    const bad = {
      NotADatabase: text,
      NotWalMode: join(folder, 'rollback.db'),
      MissingFile: join(folder, 'none.db'),
      NotAFile: folder,
    }
    for (const [code, path] of Object.entries(bad)) {
      const engine = engineOf({ good: join(folder, 'good.db'), bad: path }, store)
      await expect(engine.start()).rejects.toMatchObject({ name: 'DatabaseError', code })
      await engine.stop(100)
      await engine.close()
    }
    for await (const object of store.list()) throw new Error(`${object.key} was written`)
  })

  it('are waited for at the start while an application holds them exclusively', async () => {
    const path = join(folder, 'app.db')
    const app = new DatabaseSync(path)
    app.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
    expect(() => SourceDatabase.open(path)).toThrow(expect.objectContaining({ code: 'Busy' }))
    const engine = engineOf({ app: path })
    const started = engine.start()
    setTimeout(() => app.close(), 300)
    await started
    expect(engine.status()[0]).toMatchObject({ state: 'replicating', txid: 1n })
    expect(await engine.stop(5000)).toEqual([])
    await engine.close()
  })

  it('are not called shipped if they are held exclusively until the end', async () => {
    const path = join(folder, 'app.db')
    using app = new DatabaseSync(path)
    app.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t (a)')
    const engine = engineOf({ app: path })
    const started = engine.start()
    expect(await engine.stop(500)).toEqual(['app'])
    await started
    expect(events.map(({ type }) => type)).not.toContain('base')
    await engine.close()
  })

  it('are refused if two are one file', async () => {
    database('one')
    symlinkSync(join(folder, 'one.db'), join(folder, 'two.db'))
    const engine = engineOf({ one: join(folder, 'one.db'), two: join(folder, 'two.db') })
    await expect(engine.start()).rejects.toThrow(/same database file/)
    await engine.close()
  })

  it('that the store refuses for good end the start with its error', async () => {
    database('ill')
    const switched = new SwitchedStore(new MemoryObjectStore())
    switched.failure = new StoreError('PermissionDenied', 'no', { op: 'list' })
    const engine = engineOf({ ill: join(folder, 'ill.db') }, undefined, switched)
    await expect(engine.start()).rejects.toMatchObject({ code: 'PermissionDenied' })
    await engine.close()
  })
})

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2))
}

describe('databases that come and go', () => {
  it('are replicated from add to remove, and the others notice nothing', async () => {
    const [first, second] = [database('first'), database('second')]
    const store = new MemoryObjectStore()
    const engine = engineOf({}, store)
    await engine.start()
    let ended = false
    const done = engine.done().then(() => {
      ended = true
    })
    await engine.add(options('first', store))
    await engine.add(options('second', store))
    first.exec('INSERT INTO t VALUES (2)')
    second.exec('INSERT INTO t VALUES (2)')
    expect(await engine.remove('first', 5000)).toBe(true)
    const [shipped] = await engine.sync()
    expect(engine.status().map(({ name }) => name)).toEqual(['second'])
    // The last of them to go is no end either: the next may come.
    expect(await engine.remove('second', 5000)).toBe(true)
    expect(shipped).toBe(2n)
    expect(ended).toBe(false)
    for (const name of ['first', 'second']) expect(await newest(store, name)).toBe(2n)
    expect(events.filter(({ type }) => type === 'base')).toHaveLength(2)
    first.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    await engine.add(options('first', store))
    expect(await engine.stop(5000)).toEqual([])
    await done
    await engine.close()
  })

  it('leave nothing when they cannot be replicated', async () => {
    const db = database('one')
    const store = new MemoryObjectStore()
    const engine = engineOf({ one: join(folder, 'one.db') }, store)
    await engine.start()
    const twin = { ...options('one', store), name: 'twin' }
    await expect(engine.add(twin)).rejects.toThrow('are the same database file')
    writeFileSync(join(folder, 'text.db'), 'this is no database at all, only some text'.repeat(20))
    await expect(engine.add(options('text', store))).rejects.toThrow()
    expect(engine.status().map(({ name }) => name)).toEqual(['one'])
    db.exec('INSERT INTO t VALUES (2)')
    expect(await engine.sync()).toEqual([2n])
    expect(await engine.remove('nobody', 1000)).toBe(true)
    await engine.stop(5000)
    await engine.close()
  })

  function options(name: string, store: MemoryObjectStore) {
    const path = join(folder, `${name}.db`)
    const prefixed = new PrefixedStore(store, name)
    return { name, path, store: prefixed, layout: 'ltx' as const, syncIntervalMs: 10 }
  }

  async function newest(store: MemoryObjectStore, name: string) {
    const files = await new ReplicaClient(new PrefixedStore(store, name), 'ltx').list()
    return files
      .map(({ maxTxid }) => maxTxid)
      .sort((a, b) => Number(a - b))
      .at(-1)
  }
})
