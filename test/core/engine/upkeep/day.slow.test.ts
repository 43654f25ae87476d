import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { txid } from '../../../../src/core/ltx/index.ts'
import { VirtualDay } from '../../../support/virtual-day.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const HOURS = 2
const SECONDS = HOURS * 3600

it('two hours of a commit a second: few objects, a listing only before a deletion and after an hourly merge, and every restorable state exact', async () => {
  using day = new VirtualDay({
    seconds: SECONDS,
    rows: 400,
    snapshotSeconds: 3600,
    setTime: (now) => vi.setSystemTime(now),
  })
  await day.run()
  const { put, list, head, delete: deletes, deleteMany } = day.store.calls
  // Level 0, 1 and 2, two files of level 3, the base and two snapshots.
  expect(put).toBe(SECONDS + HOURS * 120 + HOURS * 12 + HOURS + 3)
  expect({ list, head, deletes }).toEqual({ list: deleteMany + HOURS, head: 0, deletes: 0 })
  expect(deleteMany).toBeLessThanOrEqual(HOURS * 60)
  expect(new Set(day.events.map(({ type }) => type))).toEqual(new Set(['compacted', 'pruned']))

  const files = await day.client.list()
  expect(files.map(({ key }) => key)).toEqual(day.catalogue.files.map(({ key }) => key))
  const count = (level: number): number => files.filter((file) => file.level === level).length
  // 5 minutes of level 0, and those that a restore may still read by an older listing.
  expect(count(0)).toBeLessThanOrEqual(11 * 60)
  // One of each interval, but for those that end where one of the next level ends.
  expect(count(1)).toBeGreaterThanOrEqual(HOURS * 12 * 9)
  expect(count(1)).toBeLessThanOrEqual(HOURS * 120)
  expect(count(2)).toBeGreaterThanOrEqual(HOURS * 11)
  expect(count(2)).toBeLessThanOrEqual(HOURS * 12)
  expect([3, 9].map(count)).toEqual([HOURS, 3])

  const states = await day.restorable()
  // No state is further than half a minute behind any moment, and of the last 5 minutes all are there.
  const gaps = states.slice(1).map((id, i) => id - (states[i] as number))
  expect(Math.max(...gaps)).toBeLessThanOrEqual(30)
  expect(states.filter((id) => id > SECONDS + 1 - 300)).toHaveLength(300)

  const step = Math.floor(states.length / 25)
  for (let i = 0; i < states.length; i += step) {
    const id = states[i] as number
    expect(await day.restore({ kind: 'txid', txid: txid(id) })).toBe(day.hashes.get(id))
    const time = new Date(VirtualDay.timeOf(id) + 999)
    const next = states[i + 1]
    if (next === id + 1) {
      expect(await day.restore({ kind: 'time', time })).toBe(day.hashes.get(id))
    }
  }
  expect(await day.restore({ kind: 'latest' })).toBe(day.hashes.get(SECONDS + 1))
}, 120_000)
