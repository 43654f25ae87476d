import assert from 'node:assert/strict'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  bytes,
  collect,
  drain,
  keysOf,
  putAll,
  readText,
  rejection,
  rejectsWith,
  sameBytes,
  text,
} from '../expect.ts'
import { numbered } from './lists.ts'

const cases: readonly ContractCase[] = [
  {
    id: 'DL01',
    promise: 'a deleted key is missing for get, head and list',
    async run({ store }) {
      await store.put('k', text('x'))
      assert.equal(await store.delete('k'), undefined)
      assert.equal(await store.head('k'), undefined)
      await rejectsWith('NotFound', store.get('k'), { key: 'k' })
      assert.deepEqual(await keysOf(store), [])
    },
  },
  {
    id: 'DL02',
    promise: 'deleting a missing key, or one twice, is a success',
    async run({ store }) {
      await store.put('k', text('x'))
      await store.delete('k')
      await store.delete('k')
      await store.delete('dir/never/there')
    },
  },
  {
    id: 'DL03',
    promise: 'a delete does not touch its neighbours',
    async run({ store }) {
      await putAll(store, ['a-b', 'a/b', 'a/c', 'ab', 'b/x/1', 'b/x/2'])
      await store.delete('a')
      await store.delete('a/b')
      await store.delete('b/x/1')
      assert.deepEqual(await keysOf(store), ['a-b', 'a/c', 'ab', 'b/x/2'])
      assert.equal(await readText(store, 'a/c'), 'a/c')
    },
  },
  {
    id: 'DL04',
    promise: 'deleteMany of present, missing and repeated keys leaves none and reports nothing',
    async run({ store }) {
      await putAll(store, ['a', 'b/1', 'b/2', 'stay'])
      const failures = await collect(store.deleteMany(['a', 'none', 'b/1', 'a', 'b/2', 'b/1']))
      assert.deepEqual(failures, [])
      assert.deepEqual(await keysOf(store), ['stay'])
    },
  },
  {
    id: 'DL05',
    promise: 'deleteMany takes more keys than one batch of any provider',
    timeoutMs: 300_000,
    async run(context) {
      const { store } = context
      const keys = numbered('d/', context.limit('deleteKeys'))
      await putAll(store, [...keys, 'stay'])
      assert.deepEqual(await collect(store.deleteMany(keys)), [])
      assert.deepEqual(await keysOf(store), ['stay'])
    },
  },
  {
    id: 'DL06',
    promise: 'deleteMany pulls its keys as it goes, does not run ahead, and closes their source',
    async run({ store }) {
      await putAll(store, numbered('d/', 20))
      assert.deepEqual(await collect(store.deleteMany(asyncKeys(numbered('d/', 20)))), [])
      assert.deepEqual(await keysOf(store), [])
      const failure = new Error('the source of keys broke')
      const error = await rejection(async () => {
        const keys = (async function* () {
          yield 'x'
          throw failure
        })()
        for await (const _ of store.deleteMany(keys));
      })
      assert.ok(error === failure || (error as Error).cause === failure, `got ${error}`)
      let pulled = 0
      let closed = false
      // Bounded, so that a store that runs ahead fails instead of running forever.
      const many = {
        [Symbol.iterator]: () => ({
          next: () =>
            pulled < 20_000
              ? { done: false as const, value: `bad key ${pulled++}` }
              : { done: true as const, value: undefined },
          return: () => {
            closed = true
            return { done: true as const, value: undefined }
          },
        }),
      }
      let failures = 0
      for await (const failed of store.deleteMany(many)) {
        assert.equal(failed.error.code, 'InvalidKey')
        failures++
        break
      }
      assert.equal(failures, 1, 'failures that came out')
      assert.ok(pulled < 20_000, 'all keys were pulled before the first failure came out')
      assert.ok(closed, 'the source of keys was not closed')
    },
  },
  {
    id: 'DL07',
    promise: 'deleteMany without keys sends no request',
    async run(context) {
      await context.sends(0, async () => {
        assert.deepEqual(await collect(context.store.deleteMany([])), [])
      })
    },
  },
  {
    id: 'DL08',
    promise: 'deleteMany reports exactly the key that was refused, and deletes the others',
    needs: ['faults'],
    async run({ store, faults }) {
      await putAll(store, ['a', 'b', 'c'])
      faults.refuseDelete('b')
      const failures = await collect(store.deleteMany(['a', 'b', 'c']))
      assert.deepEqual(
        failures.map(({ key, error }) => [key, error.code, error.key]),
        [['b', 'PermissionDenied', 'b']],
      )
      faults.reset()
      assert.deepEqual(await keysOf(store), ['b'])
    },
  },
  {
    id: 'DL09',
    promise: 'deleteMany reports an illegal key as InvalidKey and deletes the others',
    async run({ store }) {
      await putAll(store, ['a', 'b'])
      const failures = await collect(store.deleteMany(['a', '../x', 'b', '']))
      const codes = failures.map(({ key, error }) => [key, error.code]).sort()
      assert.deepEqual(codes, [
        ['', 'InvalidKey'],
        ['../x', 'InvalidKey'],
      ])
      assert.deepEqual(await keysOf(store), [])
    },
  },
  {
    id: 'DL10',
    promise: 'a body whose object is deleted meanwhile is complete, or fails',
    async run({ store }) {
      for (const size of [1000, 4 * 1024 * 1024]) {
        const whole = bytes(size)
        await store.put('k', whole)
        const { body } = await store.get('k')
        await store.delete('k')
        const got = await drain(body).catch(() => undefined)
        if (got !== undefined) sameBytes(got, whole)
      }
    },
  },
]

async function* asyncKeys(keys: readonly string[]): AsyncGenerator<string> {
  yield* keys
}

export const deletes: Facet = { name: 'deletes', cases }
