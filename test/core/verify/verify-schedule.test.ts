import { describe, expect, it } from 'vitest'
import { Limiter } from '../../../src/core/async/limiter.ts'
import { txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { type VerifyEvent, VerifySchedule } from '../../../src/core/verify/index.ts'
import { growingStates, level0, putChain } from '../restore/chain.ts'
import { FailingStore } from '../restore/store-wrappers.ts'

const states = growingStates(4, 512)
const HOUR = 3_600_000
const signal = new AbortController().signal

async function rig(options: { stored?: bigint; limiter?: Limiter; intervalMs?: number } = {}) {
  const store = new FailingStore()
  const client = new ReplicaClient(store, 'ltx')
  await putChain(client, states, 512, [{ level: 9, min: 1, max: 1 }, ...level0(2, 4)])
  const events: VerifyEvent[] = []
  const { intervalMs = HOUR, limiter = new Limiter(1), stored } = options
  const known = stored === undefined ? undefined : () => txid(stored)
  const schedule = new VerifySchedule(client, { intervalMs, limiter, stored: known }, (event) => {
    events.push(event)
  })
  return { store, client, events, schedule }
}

describe('VerifySchedule', () => {
  it('is due an interval after the first question, then after each end', async () => {
    const { schedule, events } = await rig()
    expect(schedule.dueAt(1000)).toBe(1000 + HOUR)
    expect(schedule.dueAt(5000)).toBe(1000 + HOUR)
    await schedule.run(2 * HOUR, signal)
    expect(schedule.dueAt(2 * HOUR)).toBeGreaterThanOrEqual(3 * HOUR)
    expect(schedule.dueAt(2 * HOUR)).toBeLessThan(3 * HOUR + 10_000)
    expect(events).toEqual([
      {
        type: 'verified',
        verdict: 'good',
        files: 4,
        bytes: expect.any(Number),
        defects: 0,
        ms: expect.any(Number),
      },
    ])
  })

  it('is never due with an interval of 0', async () => {
    const { schedule } = await rig({ intervalMs: 0 })
    expect(schedule.dueAt(1000)).toBe(Number.POSITIVE_INFINITY)
  })

  it('reports damage with what it costs, every time', async () => {
    const { schedule, store, client, events } = await rig()
    const key = (await client.list())[1]?.key as string
    for (const body of [new Uint8Array(500), undefined]) {
      if (body === undefined) await store.delete(key)
      else await store.put(key, body)
      events.length = 0
      await schedule.run(0, signal)
      expect(events.map(({ type }) => type)).toEqual(['verified', 'damage-found'])
      expect(events[1]).toMatchObject({
        verdict: 'damaged',
        defects: [{ code: body === undefined ? 'Gap' : 'Damaged' }],
        lost: [{ to: 4n }],
        latest: { restorable: false },
      })
    }
  })

  it('knows an end that was stored and is gone', async () => {
    const { schedule, events } = await rig({ stored: 5n })
    await schedule.run(0, signal)
    expect(events[1]).toMatchObject({ type: 'damage-found', defects: [{ code: 'EndMissing' }] })
  })

  it('distinguishes a failure of the store from damage, and retries sooner', async () => {
    const { schedule, store, events } = await rig()
    store.beforeGet = (key) => {
      throw new StoreError('Unavailable', 'no', { op: 'get', key })
    }
    await schedule.run(0, signal)
    expect(events).toMatchObject([
      { type: 'verify-failed', error: { code: 'Unavailable' }, retryInMs: 300_000 },
    ])
    expect(schedule.dueAt(0)).toBeLessThan(310_000)
  })

  it('reports that all of a replica is gone', async () => {
    const { schedule, client, events } = await rig()
    await client.delete(await client.list())
    await schedule.run(0, signal)
    expect(events).toMatchObject([{ type: 'verify-failed', error: { code: 'NoReplica' } }])
  })

  it('runs one at a time, in the process and of itself', async () => {
    const limiter = new Limiter(1)
    const rigs = await Promise.all([rig({ limiter }), rig({ limiter }), rig({ limiter })])
    const reading = new Set<number>()
    for (const [n, { store, schedule }] of rigs.entries()) {
      store.beforeGet = async () => {
        reading.add(n)
        await new Promise((resolve) => setTimeout(resolve, 5))
        expect([...reading]).toEqual([n])
        expect(schedule.dueAt(0)).toBe(Number.POSITIVE_INFINITY)
        await schedule.run(0, signal)
      }
    }
    const order: number[] = []
    await Promise.all(
      rigs.map(({ schedule }, n) =>
        schedule.run(0, signal).then(() => {
          reading.delete(n)
          order.push(n)
        }),
      ),
    )
    expect(order).toEqual([0, 1, 2])
    for (const { events } of rigs)
      expect(events).toMatchObject([{ type: 'verified', verdict: 'good' }])
  })

  it('ends with the reason of its signal, also while it waits for its turn', async () => {
    const limiter = new Limiter(1)
    const { schedule, events } = await rig({ limiter })
    let free = (): void => {}
    const busy = limiter.run(
      () =>
        new Promise<void>((resolve) => {
          free = resolve
        }),
    )
    const stop = new AbortController()
    const run = schedule.run(0, stop.signal)
    stop.abort(new Error('stopped'))
    free()
    await expect(run).rejects.toThrow('stopped')
    await busy
    expect(events).toEqual([])
  })
})
