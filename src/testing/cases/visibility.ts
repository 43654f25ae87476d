import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  background,
  bytes,
  drain,
  keysOf,
  pausedSource,
  read,
  readText,
  rejection,
  rejectsWith,
  sameBytes,
  text,
  within,
} from '../expect.ts'

const ROUNDS = 50

const cases: readonly ContractCase[] = [
  {
    id: 'PG20',
    promise: 'many writers and readers of different keys do not disturb one another',
    async run({ store }) {
      const keys = Array.from({ length: 20 }, (_, i) => `k/${i}`)
      await Promise.all(keys.map((key, i) => store.put(key, bytes(10_000 + i, i + 1))))
      await Promise.all(
        keys.map(async (key, i) =>
          sameBytes(await read(store, key), bytes(10_000 + i, i + 1), key),
        ),
      )
    },
  },
  {
    id: 'PG21',
    promise:
      'a read during overwrites gives one version completely, with the info that belongs to it',
    async run(context) {
      const { store } = context
      const size = 256 * 1024
      const bodies = [new Uint8Array(size).fill(0xaa), new Uint8Array(size + 1).fill(0xbb)] as const
      const fillOf = new Map<string, number>()
      const write = async (i: number) => {
        const body = bodies[i % 2]!
        const { version } = await store.put('k', body)
        fillOf.set(version, body[0]!)
      }
      await write(0)
      let writing = true
      const reader = async () => {
        const seen: [string, number][] = []
        const client = await context.client()
        while (writing) {
          // A memory store answers without yielding to the event loop, so give timers a chance to run.
          await nextTurn()
          const { info, body } = await client.get('k')
          const got = await drain(body).catch(() => undefined)
          if (got === undefined) continue
          const first = got[0]!
          const whole = Buffer.alloc(got.byteLength, first)
          assert.ok(whole.equals(got), 'a read is a mixture of two versions')
          assert.equal(got.byteLength, info.size, 'bytes read against the size in info')
          seen.push([info.version, first])
        }
        return seen
      }
      const readers = [reader(), reader(), reader()].map(background)
      // Real time between the rounds, so that readers get their turn.
      for (let i = 1; i <= 30; i++) {
        await write(i)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      writing = false
      const seen = (await Promise.all(readers)).flat()
      assert.ok(seen.length > 0, 'no read has finished')
      for (const [version, first] of seen) {
        assert.equal(fillOf.get(version), first, 'the version in info is not that of the bytes')
      }
    },
  },
  {
    id: 'PG22',
    promise: 'a body opened before an overwrite is completely the old one, or fails',
    async run({ store }) {
      const old = bytes(4 * 1024 * 1024, 1)
      for (const length of [old.byteLength, 1000]) {
        const before = old.subarray(0, length)
        await store.put('k', before)
        const { body } = await store.get('k')
        await store.put('k', bytes(length, 2))
        const got = await drain(body).catch(() => undefined)
        if (got !== undefined) sameBytes(got, before, 'the old body')
      }
    },
  },
  {
    id: 'PG23',
    promise: 'a put in progress is invisible, and the old object is served meanwhile',
    async run({ store }) {
      await store.put('old', text('old'))
      const fresh = pausedSource(text('half '), text('done'), 9)
      const over = pausedSource(text('half '), text('done'), 9)
      const puts = [store.put('fresh', fresh.body), store.put('old', over.body)].map(background)
      await within(10_000, 'reading the sources', Promise.all([fresh.reached, over.reached]))
      assert.equal(await store.head('fresh'), undefined)
      await rejectsWith('NotFound', store.get('fresh'))
      assert.equal(await readText(store, 'old'), 'old')
      assert.deepEqual(await keysOf(store), ['old'])
      fresh.go()
      over.go()
      await Promise.all(puts)
      assert.equal(await readText(store, 'fresh'), 'half done')
      assert.equal(await readText(store, 'old'), 'half done')
    },
  },
  {
    id: 'PG24',
    promise: 'another client sees a put, an overwrite and a delete at once, by get, head and list',
    async run(context) {
      const other = await context.client()
      for (let i = 0; i < ROUNDS; i++) {
        for (const value of [`first ${i}`, `second round ${i}`]) {
          const { version } = await context.store.put('k', text(value))
          assert.equal(await readText(other, 'k'), value)
          assert.equal((await other.head('k'))?.version, version)
          assert.deepEqual(await keysOf(other), ['k'])
        }
        await context.store.delete('k')
        assert.equal(await other.head('k'), undefined)
        await rejectsWith('NotFound', other.get('k'))
        assert.deepEqual(await keysOf(other), [])
      }
    },
  },
  {
    id: 'PG25',
    promise: 'a key that was missing is found once it has been put',
    async run({ store }) {
      await rejectsWith('NotFound', store.get('k'))
      assert.equal(await store.head('k'), undefined)
      await store.put('k', text('now'))
      assert.equal(await readText(store, 'k'), 'now')
      assert.equal((await store.head('k'))?.size, 3)
    },
  },
  {
    id: 'PG27',
    promise:
      'a put with a bad option or something that is not a body is refused and stores nothing',
    async run({ store }) {
      await rejection(store.put('k', text('x'), { createdAt: new Date(Number.NaN) }))
      await rejection(store.put('k', 'text' as unknown as Uint8Array))
      assert.equal(await store.head('k'), undefined)
      assert.deepEqual(await keysOf(store), [])
    },
  },
]

export const visibility: Facet = { name: 'visibility', cases }
