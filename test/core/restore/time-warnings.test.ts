import { describe, expect, it, vi } from 'vitest'
import { encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { planFor, planFromListing } from '../../../src/core/restore/restore-attempts.ts'
import { headerOf, timeOfTxid } from './chain.ts'
import { CountingStore } from './store-wrappers.ts'

const page = { pgno: 1, data: new Uint8Array(1024) }
const DAY = 24 * 60

/** A replica on a store that lists no times, with a file for each minute of a writer's clock. */
async function replicaOf(minutes: readonly number[]): Promise<ReplicaClient> {
  const client = new ReplicaClient(new CountingStore(), 'hex')
  for (const [index, minute] of minutes.entries()) {
    const n = index + 1
    const header = { ...headerOf({ level: 0, min: n, max: n }, 1024, 1) }
    const body = encodeLtx({ ...header, timestamp: timeOfTxid(minute).getTime() }, [page])
    await client.put(0, txid(n), txid(n), body, { createdAt: timeOfTxid(minute) })
  }
  return client
}

/** The plan on a store that lists no times and on one that does. `stored`: minutes of the store's clock. */
async function plansFor(minutes: readonly number[], target: number, stored?: readonly number[]) {
  const client = await replicaOf(minutes)
  const files = (await client.list()).map((file, i) => {
    const at = stored?.[i]
    return at === undefined ? file : { ...file, lastModified: timeOfTxid(at) }
  })
  const listed = files.map((file, i) => ({ ...file, createdAt: timeOfTxid(minutes[i] as number) }))
  const wanted = { kind: 'time', time: timeOfTxid(target) } as const
  return [
    await planFromListing(client, files, wanted),
    await planFromListing(client, listed, wanted),
  ]
}

describe('a restore to a time', () => {
  it('has nothing to warn of where times and order agree', async () => {
    const minutes = [1, 2, 3, 4]
    for (const target of [1, 2.5, 4]) {
      for (const { warnings } of await plansFor(minutes, target, minutes)) {
        expect(warnings).toEqual([])
      }
    }
  })

  it('warns where the next state has a time in the future', async () => {
    const ahead = (Date.now() - timeOfTxid(0).getTime()) / 60_000 + 400 * DAY
    // After two commits with the wrong clock the writer counts on from the last time.
    const minutes = [1, 2, ahead, ahead + 1, ahead + 1.1, ahead + 1.2]
    for (const plan of await plansFor(minutes, 5.5, [1, 2, 3, 4, 5, 6])) {
      expect(plan).toMatchObject({ txid: 2n, time: timeOfTxid(2) })
      expect(plan.warnings).toHaveLength(1)
      expect(plan.warnings[0]).toMatch(/TXID 0{15}3, after the restored state, .* in the future/)
      expect(plan.warnings[0]).toContain('--txid')
      expect(plan.warnings[0]).toContain('TXID 0000000000000005 was the newest one at that time')
    }
  })

  it('warns after the clock has caught up, by the time at which the store got the object', async () => {
    // Ten hours ahead, and stored at the right time.
    const minutes = [1, 2, 603, 604, 605]
    for (const plan of await plansFor(minutes, 10, [1, 2, 3, 4, 700])) {
      expect(plan.txid).toBe(2n)
      expect(plan.warnings[0]).toContain(
        `later than ${timeOfTxid(3).toISOString()}, when it was stored`,
      )
    }
    for (const plan of await plansFor(minutes, 606, [1, 2, 3, 4, 700])) {
      expect(plan).toMatchObject({ txid: 5n, warnings: [] })
    }
  })

  it('does not mistake a store whose clock is minutes behind for a writer whose clock is ahead', async () => {
    for (const { warnings } of await plansFor([1, 2, 10], 5, [1, 2, 7])) {
      expect(warnings).toEqual([])
    }
  })

  it('warns where a state before it has a later time', async () => {
    const [, listed] = await plansFor([1, 90, 3, 4], 4)
    expect(listed?.txid).toBe(4n)
    expect(listed?.warnings).toEqual([
      expect.stringMatching(/^Times disagree with the order .* TXID 0{15}2, .* --txid /),
    ])
  })

  it('does not mention times if the target is not a time', async () => {
    vi.useFakeTimers({ now: timeOfTxid(0), toFake: ['Date'] })
    try {
      const plan = await planFor(await replicaOf([1, 2]), { kind: 'latest' })
      expect(plan.warnings).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })
})
