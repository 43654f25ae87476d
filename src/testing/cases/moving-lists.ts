import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ObjectStore } from '../../core/store/index.ts'
import type { CaseContext } from '../case-context.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import { background, keysOf, putAll, text } from '../expect.ts'
import { numbered } from './lists.ts'

const cases: readonly ContractCase[] = [
  {
    id: 'LS12',
    promise: 'a key put behind the cursor of a listing does not disturb it',
    timeoutMs: 300_000,
    async run(context) {
      const keys = await aFewPages(context)
      const got = await listWith(context.store, async (i) => {
        if (i === 1) await context.store.put('a-behind', text('x'))
      })
      assert.deepEqual(
        got.filter((key) => key !== 'a-behind'),
        keys,
      )
      assert.ok(got.indexOf('a-behind') <= 0, 'the new key came out of order')
    },
  },
  {
    id: 'LS13',
    promise: 'keys deleted during a listing are not an error, and all others appear',
    timeoutMs: 300_000,
    async run(context) {
      const keys = await aFewPages(context)
      const gone = [keys[0]!, keys[5]!, keys.at(-2)!]
      const got = await listWith(context.store, async (i) => {
        if (i === 2) for (const key of gone) await context.store.delete(key)
      })
      const stay = keys.filter((key) => !gone.includes(key))
      assert.deepEqual(
        got.filter((key) => !gone.includes(key)),
        stay,
      )
    },
  },
  {
    id: 'LS14',
    promise: 'while others write and delete, every listing is in order and has every stable key',
    timeoutMs: 300_000,
    async run(context) {
      const stable = numbered('s/', 300).filter((_, i) => i % 2 === 0)
      await putAll(context.store, stable)
      let going = true
      const writer = async (n: number) => {
        const client = await context.client()
        for (let i = 1; going; i = (i + 2) % 300) {
          const key = `s/${String(i).padStart(6, '0')}.${n}`
          await client.put(key, text('x'))
          await client.delete(key)
          await nextTurn()
        }
      }
      const writers = [0, 1, 2, 3].map((n) => background(writer(n)))
      try {
        for (let i = 0; i < 20; i++) {
          const got = await keysOf(context.store)
          assertAscending(got)
          const seen = new Set(got)
          const lost = stable.filter((key) => !seen.has(key))
          assert.deepEqual(lost, [], 'stable keys missing from a listing')
        }
      } finally {
        going = false
        await Promise.allSettled(writers)
      }
      await Promise.all(writers)
    },
  },
  {
    id: 'LS22',
    promise: 'another client lists a put and a delete at once, with or without a prefix',
    async run(context) {
      const other = await context.client()
      for (let i = 0; i < 50; i++) {
        const key = `dir/${i}`
        await context.store.put(key, text('x'))
        assert.deepEqual(await keysOf(other), [key])
        assert.deepEqual(await keysOf(other, { prefix: 'dir/' }), [key])
        await context.store.delete(key)
        assert.deepEqual(await keysOf(other, { prefix: 'dir/' }), [])
      }
    },
  },
]

async function aFewPages(context: CaseContext): Promise<string[]> {
  const keys = numbered('p/', 2 * context.limit('pageSize') + 1)
  await putAll(context.store, keys)
  return keys
}

async function listWith(
  store: ObjectStore,
  step: (index: number) => Promise<void>,
): Promise<string[]> {
  const got: string[] = []
  for await (const { key } of store.list()) {
    await step(got.length)
    got.push(key)
  }
  assertAscending(got)
  return got
}

function assertAscending(keys: readonly string[]): void {
  for (const [i, key] of keys.entries()) {
    if (i > 0) assert.ok(keys[i - 1]! < key, `${keys[i - 1]} came before ${key}`)
  }
}

export const movingLists: Facet = { name: 'listings of a store that changes', cases }
