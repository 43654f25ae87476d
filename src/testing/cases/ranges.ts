import assert from 'node:assert/strict'
import type { ByteRange, ObjectStore, Version } from '../../core/store/index.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import { bytes, drain, joined, rejection, rejectsWith, sameBytes, text } from '../expect.ts'

const SIZE = 100_000
const BODY = bytes(SIZE)

const cases: readonly ContractCase[] = [
  {
    id: 'RG01',
    promise: 'a range at the start, in the middle or up to the end gives exactly its bytes',
    async run({ store }) {
      await store.put('k', BODY)
      for (const range of [{ start: 0, end: 10 }, { start: 777, end: 70_001 }, { start: 99_000 }]) {
        await expectRange(store, range, range.start, range.end ?? SIZE)
      }
    },
  },
  {
    id: 'RG02',
    promise: 'a range of one byte works at the start and at the end',
    async run({ store }) {
      await store.put('k', BODY)
      await expectRange(store, { start: 0, end: 1 }, 0, 1)
      await expectRange(store, { start: SIZE - 1, end: SIZE }, SIZE - 1, SIZE)
      await expectRange(store, { start: SIZE - 1 }, SIZE - 1, SIZE)
    },
  },
  {
    id: 'RG03',
    promise: 'an end past the size is clamped, and the result says so',
    async run({ store }) {
      await store.put('k', BODY)
      await expectRange(store, { start: 99_990, end: SIZE + 500 }, 99_990, SIZE)
      await expectRange(store, { start: 0, end: Number.MAX_SAFE_INTEGER }, 0, SIZE)
    },
  },
  {
    id: 'RG04',
    promise: 'a range that starts at or past the end is InvalidRange',
    async run({ store }) {
      await store.put('k', BODY)
      for (const range of [{ start: SIZE }, { start: SIZE, end: SIZE + 1 }, { start: SIZE + 9 }]) {
        await rejectsWith('InvalidRange', store.get('k', { range }), { key: 'k' })
      }
    },
  },
  {
    id: 'RG05',
    promise: 'any range of an empty object is InvalidRange',
    async run({ store }) {
      await store.put('empty', new Uint8Array())
      for (const range of [{ start: 0 }, { start: 0, end: 1 }, { start: 5, end: 9 }]) {
        await rejectsWith('InvalidRange', store.get('empty', { range }), { key: 'empty' })
      }
    },
  },
  {
    id: 'RG06',
    promise: 'an impossible range is InvalidArgument, and no request is sent',
    async run(context) {
      const { store } = context
      await store.put('k', BODY)
      const bad: ByteRange[] = [
        { start: 5, end: 5 },
        { start: 6, end: 5 },
        { start: -1 },
        { start: 0, end: -1 },
        { start: Number.NaN },
        { start: 0, end: Number.NaN },
        { start: 1.5 },
        { start: 0, end: 2.5 },
        { start: 2 ** 53 },
        { start: Number.POSITIVE_INFINITY },
      ]
      await context.sends(0, async () => {
        for (const range of bad) await rejectsWith('InvalidArgument', store.get('k', { range }))
      })
    },
  },
  {
    id: 'RG07',
    promise: 'adjacent ranges make up the whole object',
    async run({ store }) {
      await store.put('k', BODY)
      const random = bytes(200, 9)
      const cuts = [...new Set(Array.from({ length: 100 }, (_, i) => cutAt(random, i)))]
      cuts.sort((a, b) => a - b)
      const bounds = [0, ...cuts.filter((at) => at > 0 && at < SIZE), SIZE]
      const parts = await Promise.all(
        bounds.slice(1).map(async (end, i) => {
          const range = { start: bounds[i]!, end }
          return drain((await store.get('k', { range })).body)
        }),
      )
      sameBytes(joined(parts), BODY, 'the parts together')
    },
  },
  {
    id: 'RG08',
    promise: 'a range across the boundary of two parts is exact',
    timeoutMs: 300_000,
    async run(context) {
      const part = context.harness.limits?.partBytes ?? 1024 * 1024
      const body = bytes(part + 1000, 4)
      await context.store.put('k', { open: () => [body.subarray(0, part), body.subarray(part)] })
      const range = { start: part - 500, end: part + 500 }
      const result = await context.store.get('k', { range })
      sameBytes(await drain(result.body), body.subarray(range.start, range.end))
    },
  },
  {
    id: 'RG09',
    promise: 'a range of a missing key is NotFound',
    async run({ store }) {
      await rejectsWith('NotFound', store.get('none', { range: { start: 5 } }), { key: 'none' })
    },
  },
  {
    id: 'RG10',
    promise: 'get with ifMatch gives that version or fails with PreconditionFailed',
    async run({ store }) {
      const old = await store.put('k', text('old bytes'))
      const same = await store.get('k', { ifMatch: old.version })
      sameBytes(await drain(same.body), text('old bytes'))
      const now = await store.put('k', text('new bytes'))
      const stale = store.get('k', { ifMatch: old.version })
      await rejectsWith('PreconditionFailed', stale, { key: 'k' })
      const part = await store.get('k', { ifMatch: now.version, range: { start: 4 } })
      sameBytes(await drain(part.body), text('bytes'))
      await rejectsWith(
        ['PreconditionFailed', 'NotFound'],
        store.get('none', { ifMatch: 'nonsense' as Version }),
      )
    },
  },
  {
    id: 'RG11',
    promise: 'the whole object in answer to a range is an error, not data',
    needs: ['faults'],
    async run({ store, faults }) {
      await store.put('k', BODY)
      faults.ignoreRange({ on: 'get', times: Number.POSITIVE_INFINITY })
      await rejection(async () => {
        const result = await store.get('k', { range: { start: 10, end: 20 } })
        await drain(result.body)
      })
    },
  },
  {
    id: 'RG12',
    promise: 'a body that is cut off is resumed or throws, and never ends short',
    needs: ['faults'],
    async run({ store, faults, harness }) {
      await store.put('k', BODY)
      for (const cleanly of [false, true]) {
        for (const range of [undefined, { start: 1000, end: 90_000 }]) {
          faults.reset()
          faults.cutBody(5000, { on: 'get', cleanly })
          const work = async () => drain((await store.get('k', { range })).body)
          if (harness.retry === undefined) {
            await rejectsWith(['Corrupted', 'Unavailable'], work)
          } else {
            sameBytes(await work(), BODY.subarray(range?.start ?? 0, range?.end ?? SIZE))
          }
        }
      }
    },
  },
  {
    id: 'RG13',
    promise:
      'a body whose object is replaced while it is resumed throws: versions are never spliced',
    needs: ['faults', 'retry'],
    async run(context) {
      const { store, faults } = context
      const other = await context.client()
      await store.put('k', BODY)
      faults.cutBody(5000, { on: 'get' })
      const { body } = await store.get('k')
      await other.put('k', bytes(SIZE, 2))
      const got = await drain(body).catch((error: unknown) => error)
      if (got instanceof Uint8Array) sameBytes(got, BODY, 'a body that did not throw')
      else await rejectsWith(['Unavailable', 'PreconditionFailed'], Promise.reject(got))
    },
  },
]

async function expectRange(
  store: ObjectStore,
  range: ByteRange,
  start: number,
  end: number,
): Promise<void> {
  const result = await store.get('k', { range })
  assert.deepEqual({ ...result.range }, { start, end }, 'range of the result')
  assert.equal(result.info.size, SIZE, 'size of the whole object')
  sameBytes(await drain(result.body), BODY.subarray(start, end), `bytes ${start} to ${end}`)
}

function cutAt(random: Uint8Array, i: number): number {
  return ((random[2 * i]! << 8) | random[2 * i + 1]!) % SIZE
}

export const ranges: Facet = { name: 'ranges', cases }
