import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import type { EngineDatabase, EngineEvent } from '../../../src/core/engine/index.ts'
import { epochOf } from '../../../src/core/replica/epoch-rules.ts'
import { listEpochs, readEnd } from '../../../src/core/replica/epoch-store.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

/** A store, and rigs on it that each have a database of their own. */
class Shared implements AsyncDisposable {
  readonly hooks: StoreHooks = {}
  readonly puts: string[] = []
  readonly store = hookedStore(new MemoryObjectStore(), this.hooks)
  readonly client = new ReplicaClient(this.store, 'ltx')
  readonly #rigs: ReplicaRig[] = []

  constructor() {
    this.hooks.onCall = (name, key) => {
      if (name === 'put') this.puts.push(key)
    }
  }

  rig(): ReplicaRig {
    const rig = new ReplicaRig(this.store)
    this.#rigs.push(rig)
    return rig
  }

  /** A rig whose database is what the other's is now, WAL and all. By another process: closing a descriptor here would drop this one's locks. */
  copyOf(rig: ReplicaRig): ReplicaRig {
    const copy = this.rig()
    for (const suffix of ['', '-wal']) execFileSync('cp', [rig.path + suffix, copy.path + suffix])
    return copy
  }

  /** Ends a rig as a kill would: its epoch has no end. */
  async crash(rig: ReplicaRig): Promise<void> {
    const { put } = this.hooks
    this.hooks.put = async (key, go) => {
      if (key.endsWith('.end')) throw new StoreError('Unavailable', 'killed', { op: 'put' })
      return await go()
    }
    await rig.kill()
    this.hooks.put = put
  }

  async epochs(): Promise<string[]> {
    return (await listEpochs(this.store)).map(({ epoch, kind }) => `${epoch}.${kind}`)
  }

  /** Epochs of the level-0 files and the first base, in the order of their slots. */
  async slots(): Promise<string[]> {
    const files = (await this.client.list()).filter(({ minTxid, maxTxid }) => minTxid === maxTxid)
    const slots = files.toSorted((a, b) => Number(a.maxTxid - b.maxTxid))
    return await Promise.all(
      slots.map(async (file) => {
        const header = await this.client.readHeader(file)
        const kind = (await isFull(this.client, file.key)) ? 'full' : 'part'
        return `${file.maxTxid}:${epochOf(header.nodeId)}:${kind}`
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rig of this.#rigs) await rig[Symbol.asyncDispose]()
  }
}

/** A file of nearly all pages, told by its size beside the others of these tests. */
async function isFull(client: ReplicaClient, key: string): Promise<boolean> {
  return ((await client.store.head(key))?.size ?? 0) > 9000
}

/** Rows that do not compress, so that a full file is told by its size. */
function fill(db: DatabaseSync): void {
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, a);
    WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)
    INSERT INTO t SELECT i, randomblob(2000) FROM n`)
}

function open(rig: ReplicaRig): DatabaseSync {
  return rig.open('PRAGMA wal_autocheckpoint = 0;')
}

let rows = 100
function add(db: DatabaseSync): void {
  rows += 1
  db.exec(`INSERT INTO t VALUES (${rows}, 'small')`)
}

async function expectLatest(rig: ReplicaRig, db: DatabaseSync): Promise<void> {
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  expect(restored.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  restored.close()
}

const told = (rig: ReplicaRig, type: EngineEvent['type']) =>
  rig.events.filter((event) => event.type === type)

async function fencedBy(rig: ReplicaRig): Promise<unknown> {
  return await rig.engine.done().then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('a start after an end', () => {
  it('that was clean writes nothing but its claim', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    await rig.stop()
    expect(await shared.epochs()).toEqual(['1.claim', '1.end'])
    shared.puts.length = 0
    await rig.start()
    await rig.synced()
    await delay(30)
    // The claim, and once in a process the proof that a second one is refused.
    const claim = 'walsync/epochs/0000000000000002.claim'
    expect(shared.puts).toEqual([claim, claim])
    expect(told(rig, 'took-over')).toEqual([])
    expect(rig.count('resumed')).toBe(1)
    await rig.stop()
    expect(await shared.epochs()).toEqual(['1.claim', '1.end', '2.claim', '2.end'])
    db.close()
  })

  it('that was none takes the next slot with a file that changes nothing, from which a later start resumes', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    add(db)
    await rig.synced()
    await shared.crash(rig)
    expect(await shared.slots()).toEqual(['1:1:full', '2:1:part'])
    for (const epoch of [2, 3]) {
      await rig.start()
      await rig.synced()
      expect(told(rig, 'took-over').at(-1)).toMatchObject({
        epoch,
        from: epoch - 1,
        txid: BigInt(epoch + 1),
        pid: process.pid,
      })
      await shared.crash(rig)
    }
    expect(await shared.slots()).toEqual(['1:1:full', '2:1:part', '3:2:part', '4:3:part'])
    expect(rig.count('base')).toBe(1)
    expect(rig.count('resumed')).toBe(2)
    await expectLatest(rig, db)
    expect(await readEnd(shared.store, 2, {})).toMatchObject({ slot: 4n, from: 4n, successor: 3 })
    add(db)
    await rig.start()
    await rig.synced()
    await rig.stop()
    expect(rig.count('base')).toBe(1)
    await expectLatest(rig, db)
    const before = await rig.restore({ kind: 'txid', txid: 3n as never })
    expect(before.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 21 })
    before.close()
    db.close()
  })

  it('takes the next slot with what was committed since, if there is something', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    await shared.crash(rig)
    add(db)
    await rig.start()
    await rig.synced()
    expect(await shared.slots()).toEqual(['1:1:full', '2:2:part'])
    expect(told(rig, 'took-over')).toMatchObject([{ txid: 2n }])
    await expectLatest(rig, db)
    await rig.stop()
    db.close()
  })

  it('whose WAL is restarted just after its place was found takes a base', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    await shared.crash(rig)
    add(db)
    db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    const { events } = rig
    const push = events.push.bind(events)
    vi.spyOn(events, 'push').mockImplementation((event) => {
      if (event.type === 'resumed') add(db)
      return push(event)
    })
    await rig.start()
    await rig.synced()
    expect(rig.count('resumed')).toBe(1)
    expect(told(rig, 'continuity-lost')).toHaveLength(1)
    expect(rig.count('base')).toBe(2)
    await rig.stop()
    await expectLatest(rig, db)
    db.close()
  })

  it('whose release fails says so, and the next one takes over', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    shared.hooks.put = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    await rig.stop()
    shared.hooks.put = undefined
    expect(told(rig, 'not-released')).toMatchObject([{ epoch: 1 }])
    await rig.start()
    await rig.synced()
    expect(rig.count('took-over')).toBe(1)
    await rig.stop()
    db.close()
  })

  it.each([
    'ships these first, then takes the slot behind them',
    'ships these first also if a base must follow: their slots would be a gap after another crash',
  ])('with files in the spool %s', async (how) => {
    const needsBase = how.includes('base')
    await using shared = new Shared()
    const rig = shared.rig()
    const options = { spoolDir: join(rig.folder, 'spool'), maxWalBytes: 1 << 20 }
    const db = open(rig)
    fill(db)
    await rig.start(options)
    await rig.synced()
    const away = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    shared.hooks.put = away
    db.exec('PRAGMA busy_timeout = 0')
    for (let i = 0; rig.count('spooling') < 2 && i < 2000; i++) {
      try {
        db.exec('INSERT INTO t (a) VALUES (randomblob(20000))')
      } catch (error) {
        expect((error as { errcode: number }).errcode).toBe(5)
      }
      await delay(4)
    }
    expect(rig.count('spooling')).toBeGreaterThanOrEqual(2)
    await rig.kill()
    shared.hooks.put = undefined
    if (needsBase) {
      db.exec('PRAGMA busy_timeout = 5000; PRAGMA wal_checkpoint(TRUNCATE)')
      db.exec("INSERT INTO t (a) VALUES ('after the crash')")
    }
    shared.puts.length = 0
    await rig.start(options)
    await rig.synced()
    expect(rig.count('spool-recovered')).toBe(1)
    expect(rig.count('base')).toBe(needsBase ? 2 : 1)
    const files = shared.puts.filter((key) => key.startsWith('ltx/0/'))
    expect(files.length).toBeGreaterThan(2)
    expect(files).toEqual(files.toSorted())
    const epochs = (await shared.slots()).map((slot) => slot.split(':')[1])
    expect(epochs.indexOf('2')).toBeGreaterThan(1)
    expect(epochs.lastIndexOf('1')).toBe(epochs.indexOf('2') - 1)
    const first = BigInt(epochs.indexOf('2') + 1)
    expect(told(rig, 'took-over')).toMatchObject([{ txid: first }])
    await expectLatest(rig, db)
    await rig.stop()
    db.close()
  })
})

describe('a newer writer', () => {
  it('that can go on takes the slot at once, and the older one ends at its next write, told by whom', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start()
    await one.synced()
    const two = shared.copyOf(one)
    const other = open(two)
    await two.start()
    await two.synced()
    expect(two.count('resumed')).toBe(1)
    expect(await shared.slots()).toEqual(['1:1:full', '2:2:part'])
    add(db)
    expect(await fencedBy(one)).toMatchObject({
      name: 'FencedError',
      code: 'TakenOver',
      message: expect.stringMatching(/epoch 2, process \d+ on .+, since .+This one had epoch 1/),
      holder: { epoch: 2 },
    })
    expect(one.count('fenced')).toBe(1)
    add(other)
    await two.synced()
    await two.stop()
    await expectLatest(two, other)
    expect(await shared.epochs()).toEqual(['1.claim', '1.end', '2.claim', '2.end'])
    db.close()
    other.close()
  })

  it('that cannot go on takes the slot with its base', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start()
    await one.synced()
    add(db)
    await one.synced()
    const two = shared.rig()
    const other = open(two)
    fill(other)
    await two.start()
    await two.synced()
    expect(await shared.slots()).toEqual(['1:1:full', '2:1:part', '3:2:full'])
    add(db)
    expect(await fencedBy(one)).toMatchObject({ code: 'TakenOver', holder: { epoch: 2 } })
    await two.stop()
    await expectLatest(two, other)
    const old = await two.restore({ kind: 'txid', txid: 2n as never })
    expect(old.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 21 })
    old.close()
    db.close()
    other.close()
  })

  it.each(['a copy that falls behind', 'another database'])(
    'that the older one forestalls (%s) looks again, and wins the next slot',
    async (kind) => {
      await using shared = new Shared()
      const one = shared.rig()
      const db = open(one)
      fill(db)
      await one.start()
      await one.synced()
      const two = kind === 'another database' ? shared.rig() : shared.copyOf(one)
      const other = open(two)
      if (kind === 'another database') fill(other)
      shared.hooks.put = async (key, go) => {
        if (!key.includes('0000000000000002-')) return await go()
        shared.hooks.put = undefined
        add(db)
        await one.synced()
        return await go()
      }
      await two.start()
      await two.synced()
      expect(shared.hooks.put, 'inconclusive: nothing was forestalled').toBeUndefined()
      expect(await shared.slots()).toEqual(['1:1:full', '2:1:part', '3:2:full'])
      add(db)
      expect(await fencedBy(one)).toMatchObject({ code: 'TakenOver' })
      add(other)
      await two.synced()
      await two.stop()
      expect(two.count('fenced')).toBe(0)
      await expectLatest(two, other)
      db.close()
      other.close()
    },
  )

  it('whose base the older one forestalls again and again gives up never, and wins', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start()
    await one.synced()
    const two = shared.rig()
    const other = open(two)
    fill(other)
    let times = 6
    let busy = false
    shared.hooks.put = async (key, go) => {
      const isBase = key.startsWith('ltx/0/') && !busy && times > 0
      if (!isBase) return await go()
      times -= 1
      busy = true
      add(db)
      await one.synced()
      busy = false
      return await go()
    }
    await two.start()
    while (two.count('base') === 0) await delay(10)
    expect(times).toBe(0)
    expect(told(two, 'store-error')).toMatchObject([
      { error: { code: 'AlreadyExists', message: expect.stringMatching(/keeps writing/) } },
    ])
    add(db)
    expect(await fencedBy(one)).toMatchObject({ code: 'TakenOver' })
    await two.stop()
    await expectLatest(two, other)
    db.close()
    other.close()
  })

  it('whose claim was held up looks again before it writes: a slot that it saw free may have been taken and pruned', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start()
    await one.synced()
    const two = shared.copyOf(one)
    const other = open(two)
    let offset = 0
    const real = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => real() + offset)
    const slot = 'ltx/0/0000000000000002-0000000000000002.ltx'
    shared.hooks.put = async (key, go) => {
      if (!key.endsWith('02.claim')) return await go()
      shared.hooks.put = undefined
      for (let i = 0; i < 2; i++) {
        add(db)
        await one.synced()
      }
      await shared.store.delete(slot)
      offset = 61_000
      return await go()
    }
    await two.start()
    await two.synced()
    expect(shared.hooks.put, 'inconclusive: the claim was not held up').toBeUndefined()
    expect(await shared.store.head(slot)).toBeUndefined()
    expect((await shared.slots()).at(-1)).toBe('4:2:full')
    await two.stop()
    db.close()
    other.close()
  })

  it('is found by an older one that begins to write after a pause, before it sends anything', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start()
    await one.synced()
    const two = shared.copyOf(one)
    const other = open(two)
    await two.start()
    await two.synced()
    const real = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => real() + 61_000)
    const { length } = shared.puts
    add(db)
    expect(await fencedBy(one)).toMatchObject({ code: 'TakenOver' })
    expect(shared.puts).toHaveLength(length)
    await two.stop()
    db.close()
    other.close()
  })

  it('makes a put that was held up count for nothing, even where its slot was free again', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start()
    await one.synced()
    const two = shared.copyOf(one)
    const other = open(two)
    let offset = 0
    const real = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => real() + offset)
    const slot = 'ltx/0/0000000000000002-0000000000000002.ltx'
    let asleep = false
    const [resting, wakes] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    shared.hooks.put = async (key, go) => {
      if (key === slot && !asleep) {
        asleep = true
        resting.resolve()
        await wakes.promise
      }
      return await go()
    }
    add(db)
    await resting.promise
    await two.start()
    await two.synced()
    add(other)
    await two.synced()
    // What retention would do, were the slot not protected.
    await shared.store.delete(slot)
    offset = 61_000
    wakes.resolve()
    expect(await fencedBy(one)).toMatchObject({ code: 'TakenOver' })
    expect(told(one, 'synced')).toEqual([])
    // The successor's first slot: what came too late was taken back.
    expect(await shared.store.head(slot)).toBeUndefined()
    await two.stop()
    db.close()
    other.close()
  })

  it('is found by an idle older one when it is to take a snapshot', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    await one.start({ snapshots: { intervalMs: 300 } })
    add(db)
    await one.synced()
    const two = shared.copyOf(one)
    const other = open(two)
    await two.start()
    expect(await fencedBy(one)).toMatchObject({ code: 'TakenOver' })
    expect(one.count('snapshot')).toBe(0)
    await two.stop()
    db.close()
    other.close()
  })

  it('of one database ends the others not; the engine tells at the end', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const more = shared.rig()
    const db = open(one)
    const well = open(more)
    fill(db)
    fill(well)
    await one.start()
    const wellStore = new MemoryObjectStore()
    await one.engine.add({
      name: 'well',
      path: more.path,
      store: wellStore,
      layout: 'ltx',
      syncIntervalMs: 5,
      pollIntervalMs: 5,
    })
    await one.synced()
    const two = shared.copyOf(one)
    const other = open(two)
    await two.start()
    await two.synced()
    add(db)
    while (one.count('fenced') === 0) await delay(5)
    const before = one.engine.status()
    expect(before.map(({ state }) => state)).toEqual(['fenced', 'replicating'])
    add(well)
    while (one.engine.status()[1]!.txid === before[1]!.txid) await delay(5)
    await expect(one.engine.stop(5000)).rejects.toMatchObject({ code: 'TakenOver' })
    expect((await listEpochs(wellStore)).map(({ kind }) => kind)).toEqual(['claim', 'end'])
    await two.stop()
    for (const each of [db, well, other]) each.close()
  })
})

describe('two first bases of an empty replica', () => {
  it('end with one owner', async () => {
    await using shared = new Shared()
    const [one, two] = [shared.rig(), shared.rig()]
    const [db, other] = [open(one), open(two)]
    fill(db)
    fill(other)
    await Promise.all([one.start().catch(() => undefined), two.start().catch(() => undefined)])
    const ends: unknown[] = []
    for (const rig of [one, two]) void rig.engine.done().catch((error) => ends.push(error))
    for (let i = 0; i < 400 && one.count('fenced') + two.count('fenced') === 0; i++) {
      add(db)
      add(other)
      await delay(10)
    }
    await delay(50)
    expect(one.count('fenced') + two.count('fenced') + ends.length).toBeGreaterThan(0)
    const [winner, won] = one.count('fenced') === 0 ? [one, db] : [two, other]
    await winner.synced()
    await winner.stop()
    await expectLatest(winner, won)
    db.close()
    other.close()
  })
})

describe('a lease', () => {
  const started = async (rig: ReplicaRig, lease: EngineDatabase['lease']) =>
    await rig.start({ lease }).then(
      () => 'began',
      (error: { code: string }) => error.code,
    )

  it('that is strict does not begin over a claim, and a clean end releases it', async () => {
    await using shared = new Shared()
    const [one, two] = [shared.rig(), shared.rig()]
    const [db, other] = [open(one), open(two)]
    fill(db)
    fill(other)
    expect(await started(one, 'strict')).toBe('began')
    const { length } = shared.puts
    expect(await started(two, 'strict')).toBe('ClaimHeld')
    expect(shared.puts).toHaveLength(length)
    await two.kill()
    await one.synced()
    await one.stop()
    expect(await started(two, 'strict')).toBe('began')
    await two.synced()
    await two.stop()
    await expectLatest(two, other)
    db.close()
    other.close()
  })

  it('that is none claims nothing, and tells by the history alone', async () => {
    await using shared = new Shared()
    shared.hooks.capabilities = { ifAbsent: 'none' }
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    expect(await started(rig, 'none')).toBe('began')
    await rig.synced()
    await rig.stop()
    expect(await shared.epochs()).toEqual([])
    expect(await shared.slots()).toEqual(['1:0:full'])
    await expectLatest(rig, db)
    db.close()
  })

  it('on a store without conditions, or that ignores them, is refused before anything is written', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    shared.hooks.capabilities = { ifAbsent: 'none' }
    expect(await started(rig, 'newest')).toBe('Unsupported')
    expect(shared.puts).toEqual([])
    await rig.kill()
    shared.hooks.capabilities = {}
    shared.hooks.ignoresConditions = true
    expect(await started(rig, 'newest')).toBe('Unsupported')
    await rig.kill()
    for await (const { key } of shared.store.list()) throw new Error(`${key} was left`)
    db.close()
  })

  it('on a store that is away is claimed when it is back', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    shared.hooks.put = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    expect(await started(rig, 'strict')).toBe('began')
    await delay(20)
    expect(await shared.epochs()).toEqual([])
    shared.hooks.put = undefined
    await rig.synced()
    expect(await shared.epochs()).toEqual(['1.claim'])
    await rig.stop()
    await expectLatest(rig, db)
    db.close()
  })
})
