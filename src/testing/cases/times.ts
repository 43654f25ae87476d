import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContractCase, Facet } from '../contract-case.ts'
import { collect, text } from '../expect.ts'

const FIVE_MINUTES = 5 * 60 * 1000
/** Dates on both sides of a clock change and a leap day; none before 1970. */
const MOMENTS = [
  '2024-01-02T03:04:05.678Z',
  '2024-03-31T01:30:00.001Z',
  '2024-02-29T23:59:59.999Z',
  '2001-09-09T01:46:40.000Z',
  '2038-01-19T03:14:08.500Z',
]

const cases: readonly ContractCase[] = [
  {
    id: 'TM01',
    promise: 'lastModified is near the time of the put',
    async run({ store }) {
      await store.put('k', text('x'))
      const { lastModified } = (await store.head('k'))!
      const off = Math.abs(lastModified.getTime() - Date.now())
      assert.ok(off < FIVE_MINUTES, `off by ${off} ms`)
    },
  },
  {
    id: 'TM02',
    promise: 'lastModified never goes back from put to put, to the second',
    async run({ store }) {
      let last = 0
      for (let i = 0; i < 10; i++) {
        await store.put(`k${i % 3}`, text(String(i)))
        const seconds = Math.floor((await store.head(`k${i % 3}`))!.lastModified.getTime() / 1000)
        assert.ok(seconds >= last, `went back by ${last - seconds} s`)
        last = seconds
      }
    },
  },
  {
    id: 'TM03',
    promise: 'an overwrite moves lastModified',
    async run({ store }) {
      await store.put('k', text('x'))
      const before = (await store.head('k'))!.lastModified
      await sleep(1100)
      await store.put('k', text('x'))
      const after = (await store.head('k'))!.lastModified
      assert.ok(after > before, `${after.toISOString()} is not after ${before.toISOString()}`)
    },
  },
  {
    id: 'TM04',
    promise: 'head, get and list show the same time, to the second',
    async run({ store }) {
      await store.put('k', text('x'))
      const [listed] = await collect(store.list())
      const times = [await store.head('k'), (await store.get('k')).info, listed].map((info) =>
        Math.floor(info!.lastModified.getTime() / 1000),
      )
      assert.equal(new Set(times).size, 1, `${times}`)
    },
  },
  {
    id: 'TM05',
    promise: 'times are valid dates',
    async run({ store }) {
      await store.put('k', text('x'), { createdAt: new Date() })
      const [listed] = await collect(store.list())
      for (const info of [await store.head('k'), (await store.get('k')).info, listed]) {
        assert.ok(info?.lastModified instanceof Date)
        assert.ok(!Number.isNaN(info.lastModified.getTime()), 'lastModified')
        if (info.createdAt !== undefined) assert.ok(!Number.isNaN(info.createdAt.getTime()))
      }
    },
  },
  {
    id: 'TM06',
    promise: 'createdAt comes back from head and get to the millisecond',
    async run({ store }) {
      for (const moment of MOMENTS) {
        await store.put('k', text(moment), { createdAt: new Date(moment) })
        assert.equal((await store.head('k'))?.createdAt?.toISOString(), moment, 'head')
        assert.equal((await store.get('k')).info.createdAt?.toISOString(), moment, 'get')
      }
    },
  },
  {
    id: 'TM07',
    promise: 'createdAt comes back from list, if the store declares it',
    needs: ['created times in listings'],
    async run({ store }) {
      for (const [i, moment] of MOMENTS.entries()) {
        await store.put(`k${i}`, text(moment), { createdAt: new Date(moment) })
      }
      const listed = await collect(store.list())
      assert.deepEqual(
        listed.map((info) => info.createdAt?.toISOString()),
        MOMENTS,
      )
    },
  },
  {
    id: 'TM08',
    promise: 'an old createdAt does not affect lastModified',
    async run({ store }) {
      await store.put('k', text('x'), { createdAt: new Date('2001-02-03T04:05:06Z') })
      const { lastModified } = (await store.head('k'))!
      assert.ok(Date.now() - lastModified.getTime() < FIVE_MINUTES, lastModified.toISOString())
    },
  },
]

export const times: Facet = { name: 'times', cases }
