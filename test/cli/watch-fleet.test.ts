import { linkSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { databaseSettings, type RawSettings } from '../../src/cli/args/database-settings.ts'
import { Fleet, type FleetChanges } from '../../src/cli/watch/fleet.ts'
import type { FleetEvent } from '../../src/cli/watch/fleet-event.ts'
import type { RefusedFile, WantedDatabase } from '../../src/cli/watch/resolve-databases.ts'
import type { EngineDatabase } from '../../src/core/engine/engine.ts'
import { FencedError } from '../../src/core/engine/events.ts'
import type { DatabaseStatus } from '../../src/core/engine/replication-status.ts'

const header = (mode: 1 | 2) =>
  Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.from([16, 0, mode, mode])])
const tick = () => new Promise((resolve) => setTimeout(resolve, 5))

/** What a fleet asks of an engine, and when the engine lets it come true. */
class FakeEngine {
  readonly calls: string[] = []
  readonly running = new Map<string, EngineDatabase>()
  readonly refuse = new Map<string, unknown>()
  readonly endings: (() => void)[] = []
  holdEndings = false
  state: DatabaseStatus['state'] = 'replicating'

  async add(database: EngineDatabase): Promise<void> {
    this.calls.push(`add ${database.name}`)
    await tick()
    const error = this.refuse.get(database.name)
    if (error !== undefined) throw error
    this.running.set(database.name, database)
  }

  async remove(name: string): Promise<boolean> {
    this.calls.push(`remove ${name}`)
    if (this.holdEndings) await new Promise<void>((resolve) => this.endings.push(resolve))
    this.running.delete(name)
    return true
  }

  syncOne(name: string): Promise<undefined> | undefined {
    return this.running.has(name) ? Promise.resolve(undefined) : undefined
  }

  stop = vi.fn(async () => [...this.running.keys()].filter((name) => name.startsWith('stuck')))

  status(): DatabaseStatus[] {
    return [...this.running.values()].map(({ name, path }) => ({
      name,
      path,
      state: this.state,
      isOpen: true,
      txid: undefined,
      lastSyncAt: undefined,
      pendingFiles: 0,
      walBytes: 0,
      spoolBytes: 0,
      lastError: undefined,
      errorSince: undefined,
      waitingSince: undefined,
      lagMs: 0,
      replicaFiles: 0,
      replicaBytes: 0,
      restorable: undefined,
    }))
  }
}

let cwd: string
let engine: FakeEngine
let events: FleetEvent[]
let fleet: Fleet

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'walsync fleet '))
  engine = new FakeEngine()
  events = []
  fleet = new Fleet({
    engine,
    prepare: ({ name, path }) => ({ name, path }) as EngineDatabase,
    onEvent: (event) => events.push(event),
  })
})
afterEach(() => rmSync(cwd, { recursive: true }))

function file(name: string, mode: 1 | 2 = 2): string {
  writeFileSync(join(cwd, name), header(mode))
  return join(cwd, name)
}

function wanted(
  name: string,
  options: { file?: string; kind?: 'path' | 'folder'; settings?: RawSettings } = {},
): WantedDatabase {
  const { file: base = `${name}.db`, kind = 'path', settings = {} } = options
  const replica = `file:///r/${name}`
  const plain = { name, prefix: name, path: join(cwd, base), replica, bucket: '/r' }
  return { database: { ...plain, settings: databaseSettings(settings) }, kind }
}

const want = (databases: WantedDatabase[], ms: number, refused: RefusedFile[] = []): FleetChanges =>
  fleet.setWanted({ databases, refused }, ms)
const told = (type: string) => events.filter((event) => event.type === type)
const stateOf = (name: string) => fleet.status().find((status) => status.name === name)?.state

describe('a fleet', () => {
  it('says why the engine waits for a file that has disappeared, for as long as it waits', async () => {
    file('a.db')
    want([wanted('a')], 1000)
    await fleet.settled()
    fleet.onEngineEvent({ type: 'waiting', database: 'a', reason: 'the database was deleted' })
    engine.state = 'waiting'
    expect(fleet.status()).toMatchObject([{ state: 'waiting', reason: 'the database was deleted' }])
    engine.state = 'replicating'
    expect(fleet.status()[0]?.reason).toBeUndefined()
  })

  it('starts what is missing, ends what is not wanted, restarts what has changed, and leaves the rest alone', async () => {
    for (const name of ['a', 'b', 'c', 'd']) file(`${name}.db`)
    want([wanted('a'), wanted('b'), wanted('c')], 1000)
    await fleet.settled()
    expect(engine.calls).toEqual(['add a', 'add b', 'add c'])
    engine.calls.length = 0
    const changes = want(
      [wanted('a'), wanted('b', { settings: { syncInterval: '9s' } }), wanted('d')],
      1000,
    )
    expect(changes).toEqual({ added: ['d'], changed: ['b'], removed: ['c'], unchanged: ['a'] })
    await vi.waitFor(() => expect([...engine.running.keys()].sort()).toEqual(['a', 'b', 'd']))
    expect(engine.calls.slice(0, 2).sort()).toEqual(['remove b', 'remove c'])
    expect(engine.calls).toContain('add b')
    expect(engine.calls).not.toContain('remove a')
    expect(engine.calls).not.toContain('add a')
  })

  it('starts a database only after another one has released its file or replica', async () => {
    file('a.db')
    want([wanted('a')], 1000)
    await fleet.settled()
    engine.holdEndings = true
    want([wanted('b', { file: 'a.db' })], 1000)
    fleet.reconcile()
    await tick()
    expect(engine.calls).toEqual(['add a', 'remove a'])
    expect(stateOf('a')).toBe('ending')
    for (const end of engine.endings.splice(0)) end()
    await vi.waitFor(() => expect(engine.calls).toEqual(['add a', 'remove a', 'add b']))
  })

  it('never opens a file that is open under another name, and reports it once', async () => {
    linkSync(file('a.db'), join(cwd, 'b.db'))
    want([wanted('a'), wanted('b')], 1000)
    await fleet.settled()
    for (let i = 0; i < 4; i++) fleet.reconcile()
    expect(engine.calls).toEqual(['add a'])
    expect(told('waiting')).toEqual([
      { type: 'waiting', database: 'b', reason: 'the same file is replicated under another name' },
    ])
  })

  it('waits with a renamed file until the engine has closed it', async () => {
    file('a.db')
    want([wanted('a'), wanted('b', { kind: 'folder' })], 1000)
    await fleet.settled()
    renameSync(join(cwd, 'a.db'), join(cwd, 'b.db'))
    fleet.reconcile()
    fleet.reconcile()
    expect(engine.calls).toEqual(['add a'])
    fleet.onEngineEvent({
      type: 'waiting',
      database: 'a',
      reason: 'the database was replaced or deleted',
    })
    fleet.reconcile()
    expect(engine.calls).toEqual(['add a', 'add b'])
  })

  it('waits for files that are not suitable yet, and reports each reason once', async () => {
    file('rollback.db', 1)
    writeFileSync(join(cwd, 'text.db'), 'x'.repeat(100))
    writeFileSync(join(cwd, 'empty.db'), '')
    const all = ['rollback', 'text', 'empty', 'absent']
    const wantAll = () =>
      want(
        [...all.map((name) => wanted(name)), wanted('README', { kind: 'folder', file: 'text.db' })],
        1000,
      )
    wantAll()
    for (let i = 0; i < 4; i++) fleet.reconcile()
    expect(engine.calls).toEqual([])
    const reasons = told('waiting').map(
      (event) => `${event.database}: ${'reason' in event ? event.reason : ''}`,
    )
    expect(reasons.sort()).toEqual([
      'absent: there is no file yet',
      'empty: the database is empty',
      'rollback: it is not in WAL mode; run once, in the application: PRAGMA journal_mode = wal',
      'text: it is not an SQLite database',
    ])
    expect(fleet.status().map(({ name, state }) => [name, state])).toEqual([
      ['absent', 'waiting'],
      ['empty', 'waiting'],
      ['rollback', 'waiting'],
      ['text', 'waiting'],
    ])
    // What holds data, and would never be replicated, is trouble after a minute.
    expect(fleet.status(Date.now() + 61_000).map(({ name, state }) => [name, state])).toEqual([
      ['absent', 'waiting'],
      ['empty', 'waiting'],
      ['rollback', 'failing'],
      ['text', 'failing'],
    ])
    file('absent.db')
    file('rollback.db')
    fleet.reconcile()
    await fleet.settled()
    expect([...engine.running.keys()].sort()).toEqual(['absent', 'rollback'])
  })

  it('retries a database that cannot be opened, reports it once, and does not disturb the others', async () => {
    file('bad.db')
    file('good.db')
    engine.refuse.set('bad', new Error('locked exclusively'))
    want([wanted('bad'), wanted('good')], 1000)
    await fleet.settled()
    expect(stateOf('bad')).toBe('failing')
    expect(stateOf('good')).toBe('replicating')
    const later = Date.now() + 60_000
    for (let i = 1; i <= 3; i++) {
      fleet.reconcile(later * i)
      expect(engine.calls.filter((call) => call === 'add bad')).toHaveLength(i + 1)
      // An attempt takes seconds while the database is locked, and is no reason to say that all is well.
      expect(fleet.status()[0]).toMatchObject({ state: 'failing', reason: 'locked exclusively' })
      await fleet.settled()
    }
    expect(told('database-error')).toHaveLength(1)
    const begun = () => told('database-added').map(({ database }) => database)
    expect(begun()).toEqual(['bad', 'good'])
    engine.refuse.clear()
    fleet.reconcile(later * 5)
    await fleet.settled()
    expect(stateOf('bad')).toBe('replicating')
    expect(begun()).toEqual(['bad', 'good', 'bad'])
  })

  it('ends with FencedError when other writers have everything, and not before', async () => {
    for (const name of ['a', 'b']) file(`${name}.db`)
    want([wanted('a'), wanted('b')], 1000)
    await fleet.settled()
    let ended: unknown
    fleet.done().catch((error: unknown) => {
      ended = error
    })
    const error = (name: string) => new FencedError('TakenOver', name, 'slot', `${name} is taken`)
    fleet.onEngineEvent({ type: 'fenced', database: 'a', error: error('a') })
    fleet.reconcile()
    await tick()
    expect(ended).toBeUndefined()
    expect(stateOf('a')).toBe('fenced')
    fleet.onEngineEvent({ type: 'fenced', database: 'b', error: error('b') })
    await tick()
    expect(ended).toMatchObject({ name: 'FencedError', message: 'a is taken' })
    expect(engine.calls).toEqual(['add a', 'add b'])
  })

  it('does not fight for a replica that was taken while it started', async () => {
    file('a.db')
    engine.refuse.set('a', new FencedError('ClaimHeld', 'a', 'claim', 'held by another'))
    want([wanted('a')], 1000)
    await expect(fleet.done()).rejects.toThrow('held by another')
    for (let i = 1; i < 4; i++) fleet.reconcile(Date.now() + i * 60_000)
    expect(engine.calls).toEqual(['add a'])
    expect(fleet.fenced?.code).toBe('ClaimHeld')
  })

  it('names a file that gets no replica among those that fail', async () => {
    file('a.db')
    want([wanted('a')], 1000, [
      { path: '/x/a.sqlite', reason: 'both are called a', kind: 'folder' },
    ])
    await fleet.settled()
    expect(fleet.status()).toMatchObject([
      { name: '/x/a.sqlite', state: 'failing', reason: 'both are called a' },
      { name: 'a', state: 'replicating' },
    ])
  })

  it('stops only after databases that are being removed have ended, and names those not fully shipped', async () => {
    for (const name of ['a', 'stuck']) file(`${name}.db`)
    want([wanted('a'), wanted('stuck')], 1000)
    await fleet.settled()
    engine.holdEndings = true
    want([wanted('stuck')], 1000)
    let result: string[] | undefined
    const stopped = fleet.stop(1000).then((names) => {
      result = names
    })
    await tick()
    expect(result).toBeUndefined()
    for (const end of engine.endings.splice(0)) end()
    await stopped
    expect(result).toEqual(['stuck'])
    fleet.reconcile()
    expect(engine.calls).toEqual(['add a', 'add stuck', 'remove a'])
  })
})
