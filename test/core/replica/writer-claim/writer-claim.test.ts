import { hostname } from 'node:os'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../../src/backends/memory/index.ts'
import type { Instant } from '../../../../src/core/async/clock.ts'
import { FLAG_NO_CHECKSUM, type LtxHeader, txid } from '../../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../../src/core/replica/replica-client.ts'
import { decodeClaim, decodeEnd } from '../../../../src/core/replica/writer-claim/claim-records.ts'
import {
  epochOf,
  FRESH_MS,
  LONG_MS,
  OLD_MS,
} from '../../../../src/core/replica/writer-claim/claim-rules.ts'
import {
  listEpochs,
  readClaim,
  readEnd,
  readProtectedSlots,
  writeUnlock,
} from '../../../../src/core/replica/writer-claim/claim-store.ts'
import { CreateOnlyCheck } from '../../../../src/core/replica/writer-claim/create-only-check.ts'
import type { ClaimedHead } from '../../../../src/core/replica/writer-claim/writer-claim.ts'
import {
  EpochClaim,
  type EpochClaimOptions,
} from '../../../../src/core/replica/writer-claim/writer-claim.ts'
import { type ObjectStore, StoreError } from '../../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../../support/hooked-store.ts'

const NONE = {}
const START = Date.UTC(2026, 0, 31)

/** One store, any number of writers, each with clocks of its own. */
class Replica {
  readonly inner = new MemoryObjectStore()
  readonly calls: string[] = []
  readonly hooks: StoreHooks = { onCall: (name, key) => this.calls.push(`${name} ${key}`) }
  readonly store = hookedStore(this.inner, this.hooks)

  writer(options: Partial<EpochClaimOptions> = {}) {
    const clock = { wall: START, monotonic: 1000 }
    const random = 1 + Math.floor(Math.random() * 0xffff_fffe)
    const claim = new EpochClaim('app', this.store, {
      singleWriter: 'newest',
      random,
      clock: () => ({ ...clock }),
      ...options,
    })
    return { claim, clock }
  }

  async look(head?: { txid: number; nodeId: bigint }): Promise<ClaimedHead> {
    const { epochs, storeNow } = await new ReplicaClient(this.inner, 'ltx').listing()
    if (head === undefined) return { txid: undefined, header: undefined, epochs, storeNow }
    const at = txid(head.txid)
    return { txid: at, header: header(at, head.nodeId), epochs, storeNow }
  }

  async claimed(options: Partial<EpochClaimOptions> = {}, head?: { txid: number; nodeId: bigint }) {
    const writer = this.writer(options)
    expect(await writer.claim.acquire(await this.look(head), writer.claim.now())).toBe(true)
    this.calls.length = 0
    return writer
  }

  async keys(): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of this.inner.list()) keys.push(key)
    return keys
  }
}

function header(at: ReturnType<typeof txid>, nodeId: bigint): LtxHeader {
  return {
    flags: FLAG_NO_CHECKSUM,
    pageSize: 4096,
    commit: 1,
    minTxid: at,
    maxTxid: at,
    timestamp: START,
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId,
  }
}

function later(clock: Instant, ms: number): void {
  Object.assign(clock, { wall: clock.wall + ms, monotonic: clock.monotonic + ms })
}

const key = (epoch: number, kind: string) =>
  `walsync/epochs/${String(epoch).padStart(16, '0')}.${kind}`

describe('EpochClaim.acquire', () => {
  it('claims the next epoch and records who claimed it', async () => {
    const replica = new Replica()
    await replica.claimed()
    const { claim } = await replica.claimed({}, { txid: 9, nodeId: 0n })
    expect(claim.epoch).toBe(2)
    expect(epochOf(claim.nodeId)).toBe(2)
    expect(await readClaim(replica.store, 2, NONE)).toEqual({
      epoch: 2,
      nodeId: claim.nodeId,
      host: hostname(),
      pid: process.pid,
      startedAt: expect.any(Date),
      head: 9n,
    })
    expect(await replica.keys()).toEqual([key(1, 'claim'), key(2, 'claim')])
  })

  it('gives the epoch to one of two writers with the same listing; the other lists again and gets the next', async () => {
    const replica = new Replica()
    const look = await replica.look()
    const [a, b] = [replica.writer().claim, replica.writer().claim]
    const acquired = await Promise.all([a.acquire(look, a.now()), b.acquire(look, b.now())])
    expect(acquired.toSorted()).toEqual([false, true])
    const [won, lost] = acquired[0] ? [a, b] : [b, a]
    expect(await lost.acquire(await replica.look(), lost.now())).toBe(true)
    expect([won.epoch, lost.epoch]).toEqual([1, 2])
    await expect(won.acquire(await replica.look(), won.now())).rejects.toMatchObject({
      name: 'FencedError',
      code: 'TakenOver',
      key: key(2, 'claim'),
      message: expect.stringContaining(
        `epoch 2, process ${process.pid} on ${hostname()}, since 20`,
      ),
      holder: { epoch: 2 },
    })
    expect(await lost.acquire(await replica.look(), lost.now())).toBe(true)
  })

  it('recognises its own claim after a lost response, also for a strict writer', async () => {
    for (const singleWriter of ['newest', 'strict'] as const) {
      const replica = new Replica()
      replica.hooks.put = async (_key, go) => {
        await go()
        replica.hooks.put = undefined
        throw new StoreError('Timeout', 'no answer', { op: 'put', outcome: 'unknown' })
      }
      const { claim } = replica.writer({ singleWriter })
      await expect(claim.acquire(await replica.look(), claim.now())).rejects.toMatchObject({
        code: 'Timeout',
      })
      expect(await claim.acquire(await replica.look(), claim.now())).toBe(true)
      expect(claim.epoch).toBe(1)
      expect(claim.unfenced).toBe(0)
      expect(await replica.keys()).toEqual([key(1, 'claim')])
    }
  })

  it('is fenced when a newer claim was made while its own response was lost', async () => {
    const replica = new Replica()
    replica.hooks.put = async (_key, go) => {
      await go()
      replica.hooks.put = undefined
      throw new StoreError('Timeout', 'no answer', { op: 'put', outcome: 'unknown' })
    }
    const { claim } = replica.writer()
    await expect(claim.acquire(await replica.look(), claim.now())).rejects.toMatchObject({
      code: 'Timeout',
    })
    await replica.claimed()
    await expect(claim.acquire(await replica.look(), claim.now())).rejects.toMatchObject({
      code: 'TakenOver',
    })
  })

  it('requires another listing if the claim took long, because slots may have been written and pruned since', async () => {
    const replica = new Replica()
    const { claim, clock } = replica.writer()
    const lookedAt = claim.now()
    later(clock, FRESH_MS + 1)
    expect(await claim.acquire(await replica.look(), lookedAt)).toBe(false)
    expect(claim.epoch).toBe(1)
    expect(await claim.acquire(await replica.look(), claim.now())).toBe(true)
    expect(await replica.keys()).toEqual([key(1, 'claim')])
  })

  it('names no writer if the other claim cannot be decoded', async () => {
    const replica = new Replica()
    const { claim } = await replica.claimed()
    await replica.inner.put(key(2, 'claim'), Buffer.from('{"format":9}'))
    await expect(claim.acquire(await replica.look(), claim.now())).rejects.toMatchObject({
      code: 'TakenOver',
      message: expect.stringContaining('epoch 2, by an unknown writer'),
      holder: undefined,
    })
  })

  it('deletes expired claims at the next start, except the newest three', async () => {
    const replica = new Replica()
    for (let i = 0; i < 5; i++) await (await replica.claimed()).claim.release()
    const look = await replica.look()
    const old = new Date(look.storeNow.getTime() - OLD_MS - 1)
    const epochs = look.epochs.map((object) => ({ ...object, lastModified: old }))
    const { claim } = replica.writer()
    expect(await claim.acquire({ ...look, epochs }, claim.now())).toBe(true)
    expect(
      (await replica.keys()).map((each) => Number(each.slice(-10).split('.')[0])),
    ).not.toContain(2)
    expect(await replica.keys()).toHaveLength(3 * 2 + 1)
  })
})

describe('a strict writer', () => {
  it('refuses to start over a claim, says whose it is, and starts once it is released or unlocked', async () => {
    const replica = new Replica()
    const { claim: first } = await replica.claimed({ singleWriter: 'strict' })
    const { claim: second } = replica.writer({ singleWriter: 'strict' })
    await expect(second.acquire(await replica.look(), second.now())).rejects.toMatchObject({
      name: 'FencedError',
      code: 'ClaimHeld',
      message: expect.stringMatching(
        /^Another writer holds the replica of app: epoch 1, process \d+ on /,
      ),
      hint: expect.stringContaining('walsync unlock app'),
    })
    expect(await replica.keys()).toEqual([key(1, 'claim')])
    await first.release()
    expect(await second.acquire(await replica.look(), second.now())).toBe(true)
    expect(second.unfenced).toBe(0)

    const { claim: third } = replica.writer({ singleWriter: 'strict' })
    await expect(third.acquire(await replica.look(), third.now())).rejects.toMatchObject({
      code: 'ClaimHeld',
    })
    await writeUnlock(replica.store, { epoch: 2, at: new Date(), host: 'h' }, NONE)
    expect(await third.acquire(await replica.look(), third.now())).toBe(true)
    // Unlocked is not ended: it may be alive.
    expect(third.unfenced).toBe(1)
  })

  it('is the only one of two concurrent starts that succeeds', async () => {
    for (let i = 0; i < 20; i++) {
      const replica = new Replica()
      const start = async (): Promise<string> => {
        const { claim } = replica.writer({ singleWriter: 'strict' })
        try {
          while (!(await claim.acquire(await replica.look(), claim.now())));
          return 'began'
        } catch (error) {
          return (error as { code: string }).code
        }
      }
      const ends = await Promise.all([start(), start(), start()])
      expect(ends.toSorted()).toEqual(['ClaimHeld', 'ClaimHeld', 'began'])
    }
  })
})

describe('the freshness check of a claim', () => {
  it('sends no request within a minute', async () => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    await replica.claimed()
    later(clock, FRESH_MS)
    await claim.assertFresh()
    expect(replica.calls).toEqual([])
  })

  it.each([
    ['both clocks', { wall: FRESH_MS + 1, monotonic: FRESH_MS + 1 }],
    ['the monotonic clock alone', { wall: -5000, monotonic: FRESH_MS + 1 }],
    ['the wall clock alone: the machine slept', { wall: FRESH_MS + 1, monotonic: 3 }],
  ])('is one head after a minute by %s', async (_, { wall, monotonic }) => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    Object.assign(clock, { wall: clock.wall + wall, monotonic: clock.monotonic + monotonic })
    await claim.assertFresh()
    await claim.assertFresh()
    expect(replica.calls).toEqual([`head ${key(2, 'claim')}`])
  })

  it('finds the newer claim', async () => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    await replica.claimed()
    await expect(claim.assertCurrent()).rejects.toMatchObject({ code: 'TakenOver' })
    later(clock, FRESH_MS + 1)
    await expect(claim.assertFresh()).rejects.toMatchObject({ code: 'TakenOver' })
  })

  it('lists all newer claims after a day, because the next one may have expired', async () => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    later(clock, LONG_MS + 1)
    await claim.assertFresh()
    expect(replica.calls).toHaveLength(1)
    expect(replica.calls[0]).toMatch(/^list/)
    for (let i = 0; i < 3; i++) await replica.claimed()
    await replica.inner.delete(key(2, 'claim'))
    await replica.inner.delete(key(3, 'claim'))
    later(clock, LONG_MS + 1)
    await expect(claim.assertFresh()).rejects.toMatchObject({ holder: { epoch: 4 } })
  })

  it('proves nothing when the store does not answer', async () => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    later(clock, FRESH_MS + 1)
    replica.hooks.head = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'head' })
    }
    await expect(claim.assertFresh()).rejects.toMatchObject({ code: 'Unavailable' })
    replica.hooks.head = undefined
    await replica.claimed()
    await expect(claim.assertFresh()).rejects.toMatchObject({ code: 'TakenOver' })
  })
})

describe('a guarded put', () => {
  const slot = txid(7)
  const put = async (store: ObjectStore) =>
    await new ReplicaClient(store, 'ltx').put(0, slot, slot, Buffer.from('x'), {
      createdAt: new Date(START),
    })

  it('is not sent by a writer that has been fenced', async () => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    await replica.claimed()
    later(clock, FRESH_MS + 1)
    await expect(claim.guard(() => put(replica.store))).rejects.toMatchObject({ code: 'TakenOver' })
    expect(replica.calls.filter((call) => call.startsWith('put'))).toEqual([])
  })

  it('counts only after another check if it took longer than a minute', async () => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    const slow = async () => {
      later(clock, FRESH_MS + 1)
      return await put(replica.store)
    }
    expect(await claim.guard(slow)).toMatchObject({ maxTxid: 7n })
    expect(replica.calls.map((call) => call.split(' ')[0])).toEqual(['put', 'head'])
  })

  it.each([
    ['goes again from the slot that the successor took first', 7, false],
    ['stays in an earlier slot, where it may be part of the history', 8, true],
  ])('that came too late %s', async (_, taken, stays) => {
    const replica = new Replica()
    const { claim, clock } = await replica.claimed()
    const heldUp = async () => {
      const { claim: successor } = await replica.claimed({}, { txid: 6, nodeId: claim.nodeId })
      await successor.recordStored(txid(taken))
      later(clock, FRESH_MS + 1)
      return await put(replica.store)
    }
    await expect(claim.guard(heldUp)).rejects.toMatchObject({ code: 'TakenOver' })
    expect((await replica.keys()).some((each) => each.startsWith('ltx/'))).toBe(stays)
  })
})

describe('a take-over', () => {
  it('ends all older claims at the first file, with the slots that their writers may still try', async () => {
    const replica = new Replica()
    const { claim: one } = await replica.claimed()
    const { claim: two } = await replica.claimed({}, { txid: 40, nodeId: one.nodeId })
    const { claim: three, clock } = await replica.claimed({}, { txid: 41, nodeId: two.nodeId })
    expect(three.unfenced).toBe(2)
    const taken = await three.recordStored(txid(42))
    expect(taken).toMatchObject({ slot: 42n, from: 2, holder: { epoch: 2, nodeId: two.nodeId } })
    expect(three.unfenced).toBe(0)
    const at = new Date(clock.wall)
    const common = { by: 'successor', at, slot: 42n, successor: 3 }
    expect(await readEnd(replica.store, 2, NONE)).toEqual({ ...common, epoch: 2, from: 42n })
    // Of the first one it is not known where it stopped.
    expect(await readEnd(replica.store, 1, NONE)).toEqual({ ...common, epoch: 1, from: 10n })
    replica.calls.length = 0
    expect(await three.recordStored(txid(43))).toBeUndefined()
    expect(replica.calls).toEqual([])
  })

  it('does not mistake the writer of a compaction for the writer of its last slot', async () => {
    const replica = new Replica()
    const { claim: one } = await replica.claimed()
    const { claim: two } = replica.writer()
    const look = await replica.look({ txid: 40, nodeId: one.nodeId })
    const compacted = { ...look, header: { ...look.header!, minTxid: txid(30) } }
    expect(await two.acquire(compacted, two.now())).toBe(true)
    await two.recordStored(txid(41))
    expect(await readEnd(replica.store, 1, NONE)).toMatchObject({ from: 9n, slot: 41n })
  })

  it('protects slots, also for a later writer and for a process without a claim', async () => {
    const replica = new Replica()
    const { claim: one } = await replica.claimed()
    const { claim: two } = await replica.claimed({}, { txid: 40, nodeId: one.nodeId })
    expect(await two.protectedSlots()).toEqual([])
    await two.recordStored(txid(41))
    expect(await two.protectedSlots()).toEqual([41n])
    await two.release()
    const { claim: three, clock } = await replica.claimed({}, { txid: 90, nodeId: two.nodeId })
    expect(three.unfenced).toBe(0)
    expect(await three.protectedSlots()).toEqual([41n])
    replica.calls.length = 0
    expect(await three.protectedSlots()).toEqual([41n])
    expect(replica.calls).toEqual([])
    expect(await readProtectedSlots(replica.store, await listEpochs(replica.store), START)).toEqual(
      [41n],
    )
    later(clock, 7 * LONG_MS + 1)
    expect(await three.protectedSlots()).toEqual([])
  })

  it('continues when the store refuses the ends, protects the slots, and writes the ends with the next file', async () => {
    const replica = new Replica()
    const { claim: one } = await replica.claimed()
    const { claim: two } = await replica.claimed({}, { txid: 4, nodeId: one.nodeId })
    replica.hooks.put = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    expect(await two.recordStored(txid(5))).toMatchObject({ slot: 5n, from: 1, holder: undefined })
    expect(await two.protectedSlots()).toEqual([5n])
    expect(await readEnd(replica.store, 1, NONE)).toBeUndefined()
    replica.hooks.put = undefined
    await two.recordStored(txid(6))
    expect(await readEnd(replica.store, 1, NONE)).toMatchObject({ slot: 5n })
  })

  it('keeps the end that the older writer wrote itself', async () => {
    const replica = new Replica()
    const { claim: one } = await replica.claimed()
    const { claim: two } = await replica.claimed({}, { txid: 4, nodeId: one.nodeId })
    await one.release()
    await two.recordStored(txid(5))
    expect(await readEnd(replica.store, 1, NONE)).toMatchObject({ by: 'writer' })
  })
})

describe('a store without enforced create-only puts', () => {
  it('is refused before anything is written if it declares none', async () => {
    const replica = new Replica()
    replica.hooks.capabilities = { ifAbsent: 'none' }
    const { claim } = replica.writer()
    await expect(claim.acquire(await replica.look(), claim.now())).rejects.toMatchObject({
      code: 'Unsupported',
      hint: expect.stringContaining('--no-fencing'),
    })
    expect(replica.calls).toEqual([])
  })

  it('is detected at the first claim, and nothing is left there', async () => {
    const replica = new Replica()
    replica.hooks.ignoresConditions = true
    const createOnlyCheck = new CreateOnlyCheck()
    const claims = Array.from(
      { length: 5 },
      (_, i) =>
        new EpochClaim(`app${i}`, replica.store, {
          singleWriter: 'newest',
          random: i + 1,
          createOnlyCheck,
        }),
    )
    const look = await replica.look()
    const ends = await Promise.allSettled(claims.map((claim) => claim.acquire(look, claim.now())))
    for (const end of ends) {
      expect(end).toMatchObject({ reason: { code: 'Unsupported', op: 'put' } })
    }
    expect(await replica.keys()).toEqual([])
  })

  it('is detected even when the response to the check was lost', async () => {
    const replica = new Replica()
    replica.hooks.ignoresConditions = true
    const { claim } = replica.writer()
    let puts = 0
    replica.hooks.put = async (_, go) => {
      if (++puts === 2) throw new StoreError('Unavailable', 'away', { op: 'put' })
      return await go()
    }
    const stand = async () => claim.acquire(await replica.look(), claim.now())
    await expect(stand()).rejects.toMatchObject({ code: 'Unavailable' })
    expect(await replica.keys()).toEqual([key(1, 'claim')])
    await expect(stand()).rejects.toMatchObject({ code: 'Unsupported' })
    expect(await replica.keys()).toEqual([])
  })

  it('is refused with the key that stays when it also refuses deletes', async () => {
    const replica = new Replica()
    replica.hooks.delete = async () => {
      throw new StoreError('PermissionDenied', 'no', { op: 'delete' })
    }
    replica.hooks.ignoresConditions = true
    const { claim } = replica.writer()
    await expect(claim.acquire(await replica.look(), claim.now())).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining(`Left behind: ${key(1, 'claim')}`),
    })
  })

  const acquired = async (replica: Replica, createOnlyCheck: CreateOnlyCheck) => {
    const { claim } = replica.writer({ createOnlyCheck })
    return await claim.acquire(await replica.look(), claim.now())
  }

  it('is checked once for all databases that share the check', async () => {
    const replicas = Array.from({ length: 20 }, () => new Replica())
    const createOnlyCheck = new CreateOnlyCheck()
    await Promise.all(replicas.map(async (replica) => acquired(replica, createOnlyCheck)))
    const puts = replicas.flatMap(({ calls }) => calls.filter((call) => call.startsWith('put')))
    expect(puts).toHaveLength(21)
    expect(await replicas[7]!.keys()).toEqual([key(1, 'claim')])
  })
})

describe('epoch records', () => {
  it('decode to undefined when damaged, of another format or of another kind', () => {
    const texts = [
      '',
      'null',
      '[]',
      '{',
      '{"format":2,"epoch":1}',
      '{"format":1,"epoch":0,"nodeId":"0000000000000001","host":"h","pid":1,"startedAt":"2026-01-01"}',
      '{"format":1,"epoch":1,"nodeId":"xyz","host":"h","pid":1,"startedAt":"2026-01-01"}',
      '{"format":1,"epoch":1,"nodeId":"0000000000000001","host":"h","pid":1,"startedAt":"?"}',
      '{"format":1,"epoch":1,"by":"nobody","at":"2026-01-01"}',
      '{"format":1,"epoch":1,"by":"writer","at":"?"}',
    ]
    for (const text of texts) {
      expect(decodeClaim(Buffer.from(text)), text).toBeUndefined()
      expect(decodeEnd(Buffer.from(text)), text).toBeUndefined()
    }
  })
})

it('A claim that the store refuses and never lists ends the search.', async () => {
  const replica = new Replica()
  await replica.claimed()
  const { claim } = replica.writer()
  const stale = { txid: undefined, header: undefined, epochs: [], storeNow: new Date(START) }
  const acquire = () => claim.acquire(stale, claim.now())
  for (let look = 1; look <= 3; look++) expect(await acquire()).toBe(false)
  for (let look = 1; look <= 2; look++) {
    await expect(acquire()).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining('does not list the object walsync/epochs/'),
    })
  }
  expect(await claim.acquire(await replica.look(), claim.now())).toBe(true)
  expect(claim.epoch).toBe(2)
})
