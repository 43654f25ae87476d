import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../../src/backends/memory/index.ts'
import { NEVER } from '../../../../src/core/async/schedule.ts'
import { ReplicaMaintenance } from '../../../../src/core/engine/upkeep/replica-maintenance.ts'
import { encodeLtx, txid } from '../../../../src/core/ltx/index.ts'
import { planRestore } from '../../../../src/core/restore/restore-plan.ts'
import { DEFAULT_RETENTION } from '../../../../src/core/retention/retention-policy.ts'
import {
  type CallOptions,
  type DeleteFailure,
  type GetOptions,
  type GetResult,
  type ObjectInfo,
  StoreError,
} from '../../../../src/core/store/index.ts'
import { filled, makeHeader } from '../../ltx/ltx-samples.ts'
import { DAY, HOUR, MINUTE, names, SECOND, START } from '../../retention/listing.ts'
import { MaintainedReplica } from './maintained-replica.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A store whose reads or deletions fail while a test says so. */
class MoodyStore extends MemoryObjectStore {
  away = false
  /** Key of an object that is listed and cannot be had. */
  ghost = ''
  mayDelete = true
  damaged = ''

  override async get(key: string, options?: GetOptions): Promise<GetResult> {
    if (this.away) throw new StoreError('Unavailable', 'away', { op: 'get', key })
    if (key === this.ghost) throw new StoreError('NotFound', 'gone', { op: 'get', key })
    const result = await super.get(key, options)
    return key === this.damaged ? { ...result, body: flipped(result.body) } : result
  }

  override async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return key === this.ghost ? undefined : super.head(key, options)
  }

  override async *deleteMany(
    keys: Iterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure> {
    if (this.mayDelete) return yield* super.deleteMany(keys, options)
    for (const key of keys) {
      yield { key, error: new StoreError('PermissionDenied', 'no', { op: 'delete', key }) }
    }
  }
}

async function* flipped(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    const copy = chunk.slice()
    if (copy.length > 100) copy[copy.length >> 1]! ^= 1
    yield copy
  }
}

function level0Key(n: number): string {
  const id = n.toString(16).padStart(16, '0')
  return `ltx/0/${id}-${id}.ltx`
}

describe('what is due', () => {
  it('is merged level by level at the end of each interval', async () => {
    const replica = new MaintainedReplica(START)
    await replica.write(600, SECOND)
    expect(names(replica.catalogue.files.filter(({ level }) => level === 1))).toHaveLength(20)
    expect(names(replica.catalogue.files.filter(({ level }) => level === 2))).toEqual([
      '2:2-300',
      '2:301-600',
    ])
    await replica.pass(HOUR)
    expect(names(replica.catalogue.files.filter(({ level }) => level === 3))).toEqual(['3:2-600'])
    expect(await replica.client.list()).toEqual(
      replica.catalogue.files.map((file) => ({ ...file, lastModified: expect.any(Date) })),
    )
    const { compacted } = Object.groupBy(replica.events, ({ type }) => type)
    expect(compacted).toHaveLength(23)
    expect(compacted?.[0]).toEqual({
      type: 'compacted',
      level: 1,
      files: 29,
      minTxid: 2n,
      maxTxid: 30n,
      bytesBefore: expect.any(Number),
      bytesAfter: expect.any(Number),
    })
  })

  it('costs an idle replica nothing: no request, and no time at which to look again', async () => {
    const replica = new MaintainedReplica(START)
    await replica.write(40, SECOND)
    await replica.pass(2 * HOUR)
    expect(replica.maintenance.dueAt(Date.now())).toBeLessThan(NEVER)
    await replica.pass(8 * DAY)
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
    const { totalCalls } = replica.store
    const { runs } = replica
    await replica.pass(365 * DAY)
    expect(replica.store.totalCalls).toBe(totalCalls)
    expect(replica.runs).toBe(runs)
    expect(runs).toBeLessThan(20)
  })

  it('costs an idle replica nothing from the start', async () => {
    const replica = new MaintainedReplica(START)
    await replica.commit()
    await replica.commit()
    const { totalCalls } = replica.store
    await replica.pass(10 * MINUTE)
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
    expect(replica.runs).toBeLessThan(4)
    expect(replica.store.totalCalls).toBe(totalCalls)
  })

  it('is nothing at all without levels and retention', async () => {
    const replica = new MaintainedReplica(START, { levels: [], retention: 'none' })
    await replica.write(40, SECOND)
    expect(replica.runs).toBe(0)
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
  })

  it('is only retention without levels', async () => {
    const retention = { ...DEFAULT_RETENTION, keepForMs: MINUTE, minObjectAgeMs: 0 }
    const replica = new MaintainedReplica(START, { levels: [], retention })
    await replica.write(10, SECOND)
    const snapshot = { createdAt: new Date() }
    const bytes = new Uint8Array(100)
    replica.catalogue.add(await replica.client.put(9, txid(1), txid(10), bytes, snapshot))
    await replica.pass(5 * MINUTE)
    expect(names(replica.catalogue.files)).toEqual(['0:10-10', '9:1-10'])
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
  })

  it('is deleted at most once a minute', async () => {
    const retention = { ...DEFAULT_RETENTION, minObjectAgeMs: 0 }
    const replica = new MaintainedReplica(START, { retention })
    await replica.write(900, SECOND)
    const { deleteMany } = replica.store.calls
    expect(deleteMany).toBeGreaterThan(7)
    expect(deleteMany).toBeLessThanOrEqual(15)
    // 6 minutes of level 0, 30 files of level 1 and 3 of level 2: the rest was let go.
    expect(replica.catalogue.count).toBeLessThan(400)
    expect(replica.count('pruned')).toBe(deleteMany)
  })

  it('is caught up with after a long time without compaction, as if there had been no such time', async () => {
    const prompt = new MaintainedReplica(START, { retention: 'none' })
    await prompt.write(200, 7 * SECOND)
    const late = new MaintainedReplica(START, { retention: 'none' })
    for (let i = 0; i < 200; i++) {
      await late.commit()
      vi.setSystemTime(Date.now() + 7 * SECOND)
    }
    await late.pass(5 * MINUTE)
    await prompt.pass(5 * MINUTE)
    expect(names(late.catalogue.files)).toEqual(names(prompt.catalogue.files))
  })

  it('comes to an end where every file has another page size', async () => {
    const replica = new MaintainedReplica(START, { retention: 'none' })
    for (const pageSize of [512, 1024, 2048, 4096]) await replica.commit(pageSize)
    await replica.pass(2 * HOUR)
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
    expect(names(replica.catalogue.files)).toEqual(['0:2-2', '0:3-3', '0:4-4', '9:1-1'])
  })

  it('is what another process did already', async () => {
    const replica = new MaintainedReplica(START, { levels: [30 * SECOND], retention: 'none' })
    await replica.write(20, SECOND)
    const other = new MaintainedReplica(Date.now(), { levels: [30 * SECOND] }, replica.store)
    other.catalogue.loadListing(replica.catalogue.files)
    await other.pass(30 * SECOND)
    await replica.pass(30 * SECOND)
    expect(replica.count('maintenance-error')).toBe(0)
    expect(names(replica.catalogue.files)).toContain('1:2-20')
  })

  it.each([[[5 * MINUTE, MINUTE]], [[0]], [[1, 2, 3, 4, 5, 6, 7, 8, 9]]])(
    'refuses levels %j',
    (levels) => {
      expect(() => new MaintainedReplica(START, { levels })).toThrow(RangeError)
    },
  )
})

describe('damage', () => {
  it('is reported once and avoided, and nothing that it cuts off is deleted', async () => {
    const store = new MoodyStore()
    const replica = new MaintainedReplica(START, {}, store)
    store.damaged = level0Key(40)
    await replica.write(120, SECOND)
    await replica.pass(2 * HOUR)
    expect(replica.events.filter(({ type }) => type === 'object-avoided')).toMatchObject([
      { error: { code: 'DamagedObject', key: store.damaged } },
    ])
    expect(names(replica.catalogue.files)).toEqual(
      expect.arrayContaining(['1:2-30', '1:31-39', '1:41-60', '2:41-120', '0:40-40', '0:41-41']),
    )
    expect(replica.count('retention-blocked')).toBe(1)
    expect(replica.count('pruned')).toBe(0)
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
  })

  it('no longer stops retention of other transactions once there is a new full copy', async () => {
    const store = new MoodyStore()
    const replica = new MaintainedReplica(START, {}, store)
    store.damaged = level0Key(40)
    await replica.write(120, SECOND)
    await replica.pass(HOUR)
    const repair = { createdAt: new Date() }
    replica.catalogue.add(
      await replica.client.put(9, txid(1), txid(120), new Uint8Array(200), repair),
    )
    await replica.pass(2 * HOUR)
    const left = names(replica.catalogue.files)
    expect(left).not.toContain('0:10-10')
    expect(left).toEqual(expect.arrayContaining(['9:1-120', '0:40-40', '0:41-41', '0:119-119']))
    expect(planRestore(replica.catalogue.files, { kind: 'latest' }).files).toHaveLength(1)
  })

  it('found by others counts as well: a snapshot that cannot be read replaces no other file', async () => {
    const replica = new MaintainedReplica(START)
    await replica.write(60, SECOND)
    const put = { createdAt: new Date() }
    const snapshot = await replica.client.put(9, txid(1), txid(60), new Uint8Array(200), put)
    replica.catalogue.add(snapshot)
    replica.maintenance.setDamage([snapshot.key])
    await replica.pass(30 * DAY)
    const files = replica.catalogue.files.filter(({ key }) => key !== snapshot.key)
    expect(planRestore(files, { kind: 'latest' }).txid).toBe(60n)
    expect(names(replica.catalogue.files)).toEqual(['0:60-60', '2:2-60', '9:1-1', '9:1-60'])
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
  })

  it.each(['another process repairs the replica', 'the object is replaced by an intact copy'])(
    'no longer stops retention after %s',
    async (how) => {
      const replica = new MaintainedReplica(START)
      await replica.write(40, SECOND)
      replica.maintenance.setDamage([level0Key(40)])
      await replica.write(20, SECOND)
      await replica.pass(HOUR)
      expect(replica.count('retention-blocked')).toBe(1)
      expect(replica.count('pruned')).toBe(0)
      if (how.startsWith('the object')) replica.maintenance.setDamage([])
      else {
        const put = { createdAt: new Date() }
        await replica.client.put(9, txid(1), txid(60), new Uint8Array(200), put)
      }
      await replica.write(2, SECOND)
      await replica.pass(2 * HOUR)
      expect(replica.count('pruned')).toBeGreaterThan(0)
      expect(names(replica.catalogue.files)).not.toContain('0:10-10')
    },
  )

  it('by a deletion that was not ours stops retention', async () => {
    const replica = new MaintainedReplica(START)
    await replica.write(40, SECOND)
    const gone = replica.catalogue.files.filter(({ maxTxid }) => maxTxid === 35n)
    await replica.client.delete(gone)
    await replica.pass(HOUR)
    expect(replica.events).toContainEqual({
      type: 'object-avoided',
      error: expect.objectContaining({ code: 'MissingObject', key: level0Key(35) }),
    })
    expect(replica.events).toContainEqual({ type: 'retention-blocked', reason: 'gap' })
    expect(replica.count('pruned')).toBe(0)
    expect(names(replica.catalogue.files)).toEqual(
      expect.arrayContaining(['1:31-34', '1:36-40', '0:2-2']),
    )
  })
})

describe('merges and deletions of another process', () => {
  it('are noticed, and both continue from what there is', async () => {
    const replica = new MaintainedReplica(START)
    await replica.write(100, SECOND)
    // As `walsync compact` and `walsync prune` would.
    const other = new MaintainedReplica(
      Date.now(),
      { levels: [20 * SECOND, HOUR], retention: 'none' },
      replica.store,
    )
    other.catalogue.loadListing(await replica.client.list())
    await other.run()
    vi.setSystemTime(Date.now() + 2 * HOUR)
    await other.run()
    const { files } = other.catalogue
    const merged = files.find(({ level }) => level === 2)!
    const covered = files.filter(({ level, maxTxid }) => level < 2 && maxTxid <= merged.maxTxid)
    expect(covered.length).toBeGreaterThan(80)
    await other.client.delete(covered)
    await replica.write(100, SECOND)
    await replica.pass(2 * HOUR)
    expect(replica.count('retention-blocked')).toBe(0)
    expect(replica.count('object-avoided')).toBe(1)
    expect(replica.count('pruned')).toBeGreaterThan(0)
    expect(names(replica.catalogue.files)).toEqual(names(await replica.client.list()))
  })

  it('are looked for before anything is deleted: a file that another process deleted replaces no other file', async () => {
    const replica = new MaintainedReplica(START, { levels: [30 * SECOND] })
    await replica.write(70, SECOND)
    const merged = replica.catalogue.files.filter(({ level }) => level === 1)
    expect(merged.length).toBeGreaterThan(0)
    await replica.client.delete(merged)
    await replica.pass(HOUR)
    const left = await replica.client.list()
    expect(planRestore(left, { kind: 'latest' }).txid).toBe(70n)
    expect(names(replica.catalogue.files)).toEqual(names(left))
  })
})

describe('slots that are protected', () => {
  it('are listed only if there is something to delete', async () => {
    const protectedSlots = vi.fn(() => [])
    const replica = new MaintainedReplica(START, { protectedSlots })
    await replica.write(3, SECOND)
    await replica.pass(2 * MINUTE)
    expect(replica.runs).toBeGreaterThan(0)
    expect(protectedSlots).not.toHaveBeenCalled()
    await replica.pass(HOUR)
    expect(replica.count('pruned')).toBeGreaterThan(0)
    expect(protectedSlots).toHaveBeenCalled()
  })
})

describe('trouble with the store', () => {
  it('is reported, and everything is retried with backoff', async () => {
    const store = new MoodyStore()
    const replica = new MaintainedReplica(START, { retention: 'none' }, store)
    await replica.write(25, SECOND)
    store.away = true
    await replica.pass(10 * SECOND)
    const pauses = replica.events.map((event) => (event as { retryInMs?: number }).retryInMs)
    expect(pauses).toEqual([1000, 2000, 4000])
    await replica.pass(2 * HOUR)
    expect(replica.count('maintenance-error')).toBeLessThan(30)
    expect(replica.events.at(-1)).toMatchObject({ retryInMs: 10 * MINUTE })
    store.away = false
    await replica.pass(10 * MINUTE)
    expect(names(replica.catalogue.files)).toContain('1:2-25')
    store.away = true
    await replica.write(25, SECOND)
    await replica.pass(MINUTE)
    expect(replica.events.findLast(({ type }) => type === 'maintenance-error')).toMatchObject({
      retryInMs: expect.toSatisfy((ms: number) => ms < MINUTE),
    })
  })

  it('that lists objects that are gone is listed again only after a pause', async () => {
    const store = new MoodyStore()
    const replica = new MaintainedReplica(START, {}, store)
    store.ghost = level0Key(10)
    await replica.write(29, SECOND)
    await replica.pass(10 * SECOND)
    const { list } = replica.store.calls
    expect(list).toBe(replica.count('maintenance-error'))
    expect(list).toBeLessThan(5)
    store.ghost = ''
    await replica.pass(MINUTE)
    expect(names(replica.catalogue.files)).toContain('1:2-29')
  })

  it('that forbids deleting hinders no compaction', async () => {
    const store = new MoodyStore()
    const replica = new MaintainedReplica(START, {}, store)
    store.mayDelete = false
    await replica.write(900, SECOND)
    expect(replica.count('maintenance-error')).toBe(0)
    expect(replica.catalogue.files.filter(({ level }) => level === 1)).toHaveLength(30)
    const failures = replica.events.filter((event) => event.type === 'delete-failed')
    expect(failures.map(({ retryInMs }) => retryInMs)).toEqual([60_000, 120_000, 240_000])
    expect(failures[0]?.failures.length).toBeGreaterThan(0)
    store.mayDelete = true
    await replica.pass(10 * MINUTE)
    expect(replica.catalogue.count).toBeLessThan(500)
  })

  it('ends a run with the reason of an abort, and no event', async () => {
    const replica = new MaintainedReplica(START)
    await replica.write(25, SECOND)
    vi.setSystemTime(Date.now() + MINUTE)
    replica.signal.abort(new Error('enough'))
    await expect(replica.run()).rejects.toThrow('enough')
    expect(replica.events).toEqual([])
  })
})

describe('who may delete', () => {
  it('only a writer that is still the current one', async () => {
    let asked = 0
    const assertCurrent = async (): Promise<void> => {
      asked++
      throw new Error('fenced')
    }
    const replica = new MaintainedReplica(START, { assertCurrent })
    await replica.write(700, SECOND)
    expect(asked).toBeGreaterThan(0)
    expect(replica.events).toContainEqual(
      expect.objectContaining({ type: 'maintenance-error', error: new Error('fenced') }),
    )
    expect(replica.store.calls.deleteMany).toBe(0)
    expect(await replica.client.list()).toHaveLength(replica.catalogue.count)
  })

  it('leaves the slots that fence a paused writer', async () => {
    const protectedSlots = async () => [txid(7), txid(8)]
    const replica = new MaintainedReplica(START, { protectedSlots })
    await replica.write(40, SECOND)
    await replica.pass(2 * HOUR)
    const level0 = replica.catalogue.files.filter(({ level }) => level === 0)
    expect(names(level0)).toEqual(['0:7-7', '0:8-8', '0:40-40'])
    const { runs } = replica
    await replica.pass(30 * DAY)
    expect(replica.runs - runs).toBeLessThan(5)
    expect(replica.maintenance.dueAt(Date.now())).toBe(NEVER)
  })
})

it('files that stay for their slots alone are not merged again and again', async () => {
  const slots = Array.from({ length: 12 }, (_, i) => txid(10 + i))
  const retention = { ...DEFAULT_RETENTION, keepForMs: 10 * MINUTE }
  const replica = new MaintainedReplica(START, { retention, protectedSlots: () => slots })
  await replica.write(100, SECOND)
  await replica.pass(10 * MINUTE)
  const { client, catalogue } = replica
  const createdAt = new Date()
  const header = makeHeader({
    pageSize: 512,
    minTxid: txid(1),
    maxTxid: txid(100),
    timestamp: createdAt.getTime(),
  })
  const bytes = encodeLtx(header, [filled(1, 1, 512)])
  catalogue.add(await client.put(9, txid(1), txid(100), bytes, { createdAt }))
  await replica.pass(2 * HOUR)
  expect(names(catalogue.files).filter((name) => !name.startsWith('0:'))).toEqual(['9:1-100'])
  const [before, runs] = [replica.count('compacted'), replica.runs]
  await replica.pass(DAY)
  expect(replica.count('compacted')).toBe(before)
  expect(replica.runs - runs).toBeLessThan(5)
  expect(catalogue.files.filter(({ level }) => level === 0)).toHaveLength(13)
})

it('a call while one runs waits for it and does nothing twice', async () => {
  const replica = new MaintainedReplica(START, { levels: [30 * SECOND] })
  await replica.write(20, SECOND)
  vi.setSystemTime(START + 40 * SECOND)
  await Promise.all([replica.run(), replica.run(), replica.run()])
  expect(replica.count('compacted')).toBe(1)
  expect(replica.store.calls.put).toBe(21)
})

it('takes a client, a catalogue and plain options', () => {
  const { client, catalogue } = new MaintainedReplica(START)
  const options = { levels: [], retention: 'none', nodeId: 1n } as const
  const maintenance = new ReplicaMaintenance(client, catalogue, options, () => undefined)
  expect(maintenance.dueAt(START)).toBe(NEVER)
})
