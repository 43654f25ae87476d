import assert from 'node:assert/strict'
import type { ContractCase, Facet } from '../contract-case.ts'
import { collect, keysOf, putAll, shuffled, text } from '../expect.ts'

/**
 * Keys in byte order. `a` is not among them, because a file system cannot have both `a` and `a/b`.
 */
const ORDER = ['0', 'A', 'B/x', 'Z', '_', 'a-', 'a.b', 'a/b', 'a/b0', 'a/c', 'a0', 'b', 'b=', 'z']

const cases: readonly ContractCase[] = [
  {
    id: 'LS01',
    promise: 'an empty store and an unknown prefix list nothing, without an error',
    async run({ store }) {
      assert.deepEqual(await keysOf(store), [])
      await store.put('k', text('x'))
      assert.deepEqual(await keysOf(store, { prefix: 'other/' }), [])
      assert.deepEqual(await collect(store.listDir({ prefix: 'other/' })), [])
    },
  },
  {
    id: 'LS02',
    promise: 'keys come in ascending byte order, whatever order they were put in',
    async run({ store }) {
      const expected = [...ORDER].sort()
      for (const key of shuffled(ORDER)) await store.put(key, text('x'))
      assert.deepEqual(await keysOf(store), expected)
    },
  },
  {
    id: 'LS03',
    promise: 'a prefix is a plain string, not a path segment',
    async run({ store }) {
      await putAll(store, ['fo', 'foo-x', 'foo/x', 'foobar/y', 'fop', 'g'])
      assert.deepEqual(await keysOf(store, { prefix: 'foo' }), ['foo-x', 'foo/x', 'foobar/y'])
      assert.deepEqual(await keysOf(store, { prefix: 'foo/' }), ['foo/x'])
      assert.deepEqual(await keysOf(store, { prefix: 'foob' }), ['foobar/y'])
      assert.deepEqual(await keysOf(store, { prefix: '' }), await keysOf(store))
    },
  },
  {
    id: 'LS04',
    promise: 'a prefix that is a whole key includes it',
    async run({ store }) {
      await putAll(store, ['dir/key', 'dir/key2', 'dir/other'])
      assert.deepEqual(await keysOf(store, { prefix: 'dir/key' }), ['dir/key', 'dir/key2'])
    },
  },
  {
    id: 'LS05',
    promise: 'startAfter is exclusive, and need not be a key',
    async run({ store }) {
      const keys = ['b', 'd/e', 'd/g', 'f']
      await putAll(store, keys)
      const far = 'z'.repeat(600)
      for (const startAfter of [
        '',
        'a',
        'b',
        'b0',
        'c',
        'd',
        'd/',
        'd/e',
        'd/f',
        'd0',
        'f',
        'g',
        far,
      ]) {
        const expected = keys.filter((key) => key > startAfter)
        assert.deepEqual(await keysOf(store, { startAfter }), expected, `after "${startAfter}"`)
      }
    },
  },
  {
    id: 'LS06',
    promise: 'startAfter and prefix work together, whichever sorts first',
    async run({ store }) {
      const keys = ['a/1', 'm/1', 'm/2', 'm/3', 'z/1']
      await putAll(store, keys)
      for (const startAfter of ['a', 'a/1', 'm', 'm/', 'm/1', 'm/2x', 'm/3', 'n', 'z/9']) {
        const expected = keys.filter((key) => key.startsWith('m/') && key > startAfter)
        const got = await keysOf(store, { prefix: 'm/', startAfter })
        assert.deepEqual(got, expected, `after "${startAfter}"`)
      }
    },
  },
  {
    id: 'LS07',
    promise: 'startAfter is not a prefix: all later keys appear, whatever they begin with',
    async run({ store }) {
      const keys = ['l0/0001', 'l0/0002', 'l0/0010', 'l1/0001']
      await putAll(store, keys)
      assert.deepEqual(await keysOf(store, { startAfter: 'l0/0002' }), ['l0/0010', 'l1/0001'])
      const below = await keysOf(store, { prefix: 'l0/', startAfter: 'l0/0001' })
      assert.deepEqual(below, ['l0/0002', 'l0/0010'])
    },
  },
  {
    id: 'LS08',
    promise: 'a listing resumes from any of its keys',
    async run({ store }) {
      await putAll(store, ORDER)
      const all = await keysOf(store)
      for (const [i, startAfter] of all.entries()) {
        assert.deepEqual(await keysOf(store, { startAfter }), all.slice(i + 1), startAfter)
      }
    },
  },
  {
    id: 'LS09',
    promise: 'a listing of several pages is complete and in order',
    timeoutMs: 300_000,
    async run(context) {
      const keys = numbered('p/', 2 * context.limit('pageSize') + 1)
      await putAll(context.store, keys)
      assert.deepEqual(await keysOf(context.store), keys)
    },
  },
  {
    id: 'LS10',
    promise:
      'a long listing is complete and in order, and its first entry does not wait for the last page',
    timeoutMs: 600_000,
    async run(context) {
      const keys = numbered('many/', context.limit('manyKeys'))
      await putAll(context.store, keys)
      const pages = Math.ceil(keys.length / context.limit('pageSize'))
      const before = context.harness.faults?.requestCount('list') ?? 0
      const first = context.store.list()[Symbol.asyncIterator]()
      assert.equal((await first.next()).value?.key, keys[0])
      const sent = (context.harness.faults?.requestCount('list') ?? 0) - before
      assert.ok(pages < 3 || sent < pages, `${sent} of ${pages} pages before the first entry`)
      await first.return?.()
      assert.deepEqual(await keysOf(context.store), keys)
    },
  },
  {
    id: 'LS11',
    promise: 'one key less than a page, exactly a page and one key more are listed in full',
    timeoutMs: 300_000,
    async run(context) {
      const size = context.limit('pageSize')
      const keys = numbered('p/', size - 1)
      await putAll(context.store, keys)
      for (let i = size - 1; i <= size + 1; i++) {
        assert.deepEqual(await keysOf(context.store, { prefix: 'p/' }), keys, `${keys.length} keys`)
        const next = `p/${String(i).padStart(6, '0')}`
        await context.store.put(next, text('x'))
        keys.push(next)
      }
    },
  },
  {
    id: 'LS15',
    promise: 'leaving the loop stops the paging',
    timeoutMs: 300_000,
    async run(context) {
      const keys = numbered('p/', 2 * context.limit('pageSize') + 1)
      await putAll(context.store, keys)
      await context.sends(
        1,
        async () => {
          for await (const { key } of context.store.list()) {
            assert.equal(key, keys[0])
            break
          }
        },
        'list',
      )
    },
  },
  {
    id: 'LS16',
    promise: 'two listings at once are independent, and each can be used once',
    async run({ store }) {
      await putAll(store, ['a', 'b', 'c'])
      const one = store.list()[Symbol.asyncIterator]()
      const two = store.list({ startAfter: 'a' })[Symbol.asyncIterator]()
      const keys: (string | undefined)[] = []
      for (const step of [one, two, one, two, one]) keys.push((await step.next()).value?.key)
      assert.deepEqual(keys, ['a', 'b', 'b', 'c', 'c'])
    },
  },
  {
    id: 'LS17',
    promise: 'a listing shows what head shows',
    async run({ store }) {
      await store.put('k/1', text('one'))
      await store.put('k/2', text('three'))
      for await (const listed of store.list()) {
        const head = await store.head(listed.key)
        assert.equal(listed.size, head?.size)
        assert.equal(listed.version, head?.version)
        const seconds = (date: Date | undefined) => Math.floor(Number(date) / 1000)
        assert.equal(seconds(listed.lastModified), seconds(head?.lastModified))
      }
    },
  },
]

export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(6, '0')}`)
}

export const lists: Facet = { name: 'listings', cases }
