import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { listEpochs } from '../../../src/core/replica/writer-claim/claim-store.ts'
import { add, expectLatest, fencedBy, fill, open, Shared, told } from '../../support/fencing-rig.ts'
import { until } from '../../support/until.ts'

afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

describe('a newer writer', () => {
  it('that can continue takes the slot immediately, and the older one ends at its next write and names it', async () => {
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

  it('does not keep the older one from removing the copy that its restore drill has made', async () => {
    await using shared = new Shared()
    const one = shared.rig()
    const db = open(one)
    fill(db)
    vi.stubEnv('TMPDIR', one.folder)
    const copies = () => readdirSync(one.folder).filter((name) => name.includes('scratch'))
    const endless = 'WITH n (i) AS (VALUES (1) UNION ALL SELECT 1 FROM n) SELECT max(i) FROM n'
    await one.start({ drill: { intervalMs: 20, assertions: [endless], maxAgeMs: undefined } })
    await one.synced()
    await until(() => copies().length > 0)
    const two = shared.copyOf(one)
    const other = open(two)
    await two.start()
    await two.synced()
    add(db)
    await fencedBy(one)
    expect(copies(), 'inconclusive: the drill has ended').toHaveLength(1)
    await expect(one.engine.stop(10_000)).rejects.toMatchObject({ code: 'TakenOver' })
    // The process ends now, and nothing removes the copy later.
    expect(copies()).toEqual([])
    db.close()
    other.close()
  })

  it('that cannot continue takes the slot with its base', async () => {
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

  it('whose base repeatedly finds its slot taken by the older one retries until it wins', async () => {
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

  it('voids a put that was held up, even if its slot was free again', async () => {
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

  it('of one database does not end the others; the engine reports it at the end', async () => {
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
