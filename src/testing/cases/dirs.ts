import assert from 'node:assert/strict'
import type { DirEntry, ListOptions, ObjectStore } from '../../core/store/index.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  background,
  collect,
  keysOf,
  pausedSource,
  putAll,
  rejection,
  text,
  within,
} from '../expect.ts'
import { numbered } from './lists.ts'

const cases: readonly ContractCase[] = [
  {
    id: 'LS18',
    promise: 'one level shows objects and folders once each, in one order',
    async run({ store }) {
      await putAll(store, ['a', 't-/x', 't.x', 't/1', 't/2/3', 't0', 'u/v/w'])
      assert.deepEqual(await level(store), ['a', 't-/', 't.x', 't/', 't0', 'u/'])
      assert.deepEqual(await level(store, { prefix: 't/' }), ['t/1', 't/2/'])
      assert.deepEqual(await level(store, { prefix: 't' }), ['t-/', 't.x', 't/', 't0'])
      assert.deepEqual(await level(store, { prefix: 'u/v' }), ['u/v/'])
      assert.deepEqual(await level(store, { startAfter: 't/2' }), ['t/', 't0', 'u/'])
      const [object] = await collect(store.listDir())
      assert.equal(object?.kind === 'object' && object.object.size, 1, 'size of an object')
    },
  },
  {
    id: 'LS19',
    promise: 'a folder with several pages of keys appears once',
    timeoutMs: 300_000,
    async run(context) {
      const count = 2 * context.limit('pageSize') + 5
      await putAll(context.store, ['a', ...numbered('deep/', count), 'z'])
      assert.deepEqual(await level(context.store), ['a', 'deep/', 'z'])
    },
  },
  {
    id: 'LS20',
    promise: 'a folder disappears with its last object',
    async run({ store }) {
      await putAll(store, ['dir/sub/leaf', 'other'])
      await store.delete('dir/sub/leaf')
      assert.deepEqual(await level(store), ['other'])
      assert.deepEqual(await level(store, { prefix: 'dir/' }), [])
      await store.put('dir', text('now an object'))
      assert.deepEqual(await level(store), ['dir', 'other'])
    },
  },
  {
    id: 'LS21',
    promise: 'what is half-written never appears in a listing, even while it is being written',
    timeoutMs: 300_000,
    async run(context) {
      const { store } = context
      await store.put('dir/whole', text('x'))
      const paused = pausedSource(text('ha'), text('lf'), 4)
      const put = background(store.put('dir/half', paused.body))
      await within(10_000, 'reading the source', paused.reached)
      assert.deepEqual(await keysOf(store), ['dir/whole'])
      assert.deepEqual(await level(store), ['dir/'])
      assert.deepEqual(await level(store, { prefix: 'dir/' }), ['dir/whole'])
      paused.go()
      await put
      assert.deepEqual(await keysOf(store), ['dir/half', 'dir/whole'])
      const broken = {
        async *open() {
          yield text('ha')
          throw new Error('the source broke')
        },
      }
      await rejection(store.put('dir/broken', broken))
      assert.deepEqual(await keysOf(store), ['dir/half', 'dir/whole'])
    },
  },
  {
    id: 'LS23',
    promise: 'an error on a later page is resumed or thrown: a listing never ends short',
    needs: ['faults'],
    timeoutMs: 300_000,
    async run(context) {
      const keys = numbered('p/', 2 * context.limit('pageSize') + 1)
      await putAll(context.store, keys)
      context.faults.reset()
      context.faults.answer(503, { on: 'list', skip: 1 })
      const got = await keysOf(context.store).catch((error: unknown) => error)
      if (context.harness.retry !== undefined) assert.deepEqual(got, keys)
      else assert.ok(got instanceof Error, 'a failed page did not fail the listing')
    },
  },
  {
    id: 'LS24',
    promise: 'a page that is cut off is resumed or thrown: a listing never ends short or loops',
    needs: ['faults'],
    timeoutMs: 300_000,
    async run(context) {
      const keys = numbered('p/', 2 * context.limit('pageSize') + 1)
      await putAll(context.store, keys)
      for (const cleanly of [false, true]) {
        context.faults.reset()
        context.faults.cutBody(500, { on: 'list', skip: 1, cleanly })
        const got = await keysOf(context.store).catch((error: unknown) => error)
        if (Array.isArray(got)) assert.deepEqual(got, keys)
        else assert.ok(context.harness.retry === undefined, `not resumed: ${got}`)
      }
    },
  },
]

async function level(store: ObjectStore, options?: ListOptions): Promise<string[]> {
  const entries: DirEntry[] = await collect(store.listDir(options))
  return entries.map((entry) => (entry.kind === 'object' ? entry.object.key : entry.prefix))
}

export const dirs: Facet = { name: 'listings by folder, and broken ones', cases }
