import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { CaseContext } from '../case-context.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  background,
  bytes,
  collect,
  drain,
  keysOf,
  pausedSource,
  putAll,
  read,
  readText,
  rejection,
  sameBytes,
  text,
  within,
} from '../expect.ts'
import { numbered } from './lists.ts'

/** An abort must be answered within this time. */
const PROMPT_MS = 1000
const reason = () => new Error('the caller has changed its mind')

const cases: readonly ContractCase[] = [
  {
    id: 'AB01',
    promise: 'with an aborted signal every method rejects with its reason and sends no request',
    async run(context) {
      const { store } = context
      await store.put('k', text('x'))
      const why = reason()
      const signal = AbortSignal.abort(why)
      await context.sends(0, async () => {
        const calls: Record<string, () => Promise<unknown>> = {
          check: () => store.check({ signal }),
          put: () => store.put('k', text('y'), { signal }),
          get: () => store.get('k', { signal }),
          head: () => store.head('k', { signal }),
          list: () => collect(store.list({ signal })),
          listDir: () => collect(store.listDir({ signal })),
          delete: () => store.delete('k', { signal }),
          deleteMany: () => collect(store.deleteMany(['k'], { signal })),
        }
        for (const [name, call] of Object.entries(calls)) {
          assert.equal(await rejection(call), why, name)
        }
      })
      assert.equal(await readText(store, 'k'), 'x')
    },
  },
  {
    id: 'AB02',
    promise: 'aborting a put while its source delivers is answered at once, and nothing is visible',
    async run({ store }) {
      await store.put('old', text('old'))
      for (const key of ['new', 'old']) {
        const why = reason()
        const controller = new AbortController()
        const body = {
          async *open() {
            for (let i = 0; ; i++) {
              if (i === 5) controller.abort(why)
              yield bytes(1000, i + 1)
              await new Promise((resolve) => setTimeout(resolve, 1))
            }
          },
        }
        const put = store.put(key, body, { signal: controller.signal })
        assert.equal(await within(PROMPT_MS, 'the abort', rejection(put)), why)
      }
      assert.equal(await store.head('new'), undefined)
      assert.equal(await readText(store, 'old'), 'old')
      assert.deepEqual(await keysOf(store), ['old'])
    },
  },
  {
    id: 'AB03',
    promise: 'aborting a put whose source stalls is answered at once, and the source is closed',
    async run(context) {
      const { store } = context
      await store.put('k', text('old'))
      const why = reason()
      const controller = new AbortController()
      const paused = pausedSource(text('never'), text('ends'), 9)
      const put = background(store.put('k', paused.body, { signal: controller.signal }))
      await within(10_000, 'reading the source', paused.reached)
      controller.abort(why)
      assert.equal(await within(PROMPT_MS, 'the abort', rejection(put)), why)
      await within(PROMPT_MS, 'closing the source', paused.closed)
      paused.go()
      assert.equal(await readText(store, 'k'), 'old')
      assert.deepEqual(await keysOf(store), ['k'])
    },
  },
  {
    id: 'AB04',
    promise: 'an aborted put leaves nothing half-written behind',
    needs: ['residue'],
    timeoutMs: 300_000,
    async run(context) {
      const size = 2 * (context.harness.limits?.partBytes ?? 500_000) + 1
      const controller = new AbortController()
      const paused = pausedSource(bytes(size), text('more'), size + 4)
      const put = background(context.store.put('k', paused.body, { signal: controller.signal }))
      await within(60_000, 'reading the source', paused.reached)
      controller.abort(reason())
      await rejection(put)
      paused.go()
      const left = await context.harness.residue?.(context.prefix)
      assert.deepEqual([...(left ?? [])], [], 'half-written things left behind')
    },
  },
  {
    id: 'AB05',
    promise: 'an abort that races the commit leaves the whole object or none',
    needs: ['faults'],
    async run(context) {
      const { store, faults } = context
      const body = bytes(20_000)
      for (const afterCommit of [false, true]) {
        const key = afterCommit ? 'stored' : 'stalled'
        faults.reset()
        faults.stall({ on: 'put', afterCommit })
        const controller = new AbortController()
        const put = rejection(store.put(key, body, { signal: controller.signal }))
        while (faults.requestCount('put') === 0) await delay(5)
        while (afterCommit && (await store.head(key)) === undefined) await delay(5)
        controller.abort(reason())
        await put
        faults.reset()
        if (await store.head(key)) sameBytes(await read(store, key), body)
        else assert.ok(!afterCommit, 'a committed object is not there')
      }
    },
  },
  {
    id: 'AB06',
    promise: 'an abort while a body is being read makes the loop throw the reason',
    async run({ store }) {
      await store.put('big', bytes(4 * 1024 * 1024))
      const why = reason()
      const controller = new AbortController()
      const { body } = await store.get('big', { signal: controller.signal })
      const error = await rejection(async () => {
        for await (const _ of body) controller.abort(why)
      })
      assert.equal(error, why)
      const late = new AbortController()
      const unread = await store.get('big', { signal: late.signal })
      late.abort(why)
      assert.equal(await rejection(drain(unread.body)), why, 'aborted before the first read')
    },
  },
  {
    id: 'AB07',
    promise: 'an abort during a listing makes its loop throw the reason',
    timeoutMs: 300_000,
    async run(context) {
      const { store } = context
      await putAll(store, numbered('p/', 10))
      for (const list of [store.list.bind(store), store.listDir.bind(store)]) {
        const why = reason()
        const controller = new AbortController()
        let seen = 0
        const error = await rejection(async () => {
          for await (const _ of list({ prefix: 'p/', signal: controller.signal })) {
            if (++seen === 3) controller.abort(why)
          }
        })
        assert.equal(error, why)
        assert.equal(seen, 3, 'entries after the abort')
      }
    },
  },
  {
    id: 'AB11',
    promise: 'aborting deleteMany while its source of keys stalls is answered at once',
    async run({ store }) {
      const why = reason()
      const controller = new AbortController()
      const keys = (async function* () {
        yield 'k'
        await new Promise(() => {})
      })()
      const work = background(collect(store.deleteMany(keys, { signal: controller.signal })))
      setTimeout(() => controller.abort(why), 50)
      assert.equal(await within(PROMPT_MS + 50, 'the abort', rejection(work)), why)
    },
  },
  {
    id: 'AB08',
    promise: 'an abort during the pause before a retry is answered at once',
    needs: ['faults', 'retry'],
    async run({ store, faults }) {
      faults.answer(503, { times: Number.POSITIVE_INFINITY, retryAfterMs: 2000 })
      const why = reason()
      const controller = new AbortController()
      const head = background(store.head('k', { signal: controller.signal }))
      setTimeout(() => controller.abort(why), 100)
      assert.equal(await within(PROMPT_MS, 'the abort', rejection(head)), why)
    },
  },
  {
    id: 'AB09',
    promise: 'calls leave no listeners on their signal',
    async run(context) {
      const { store } = context
      const { signal } = new AbortController()
      const rounds = context.harness.faults === undefined ? 100 : 20
      for (let i = 0; i < rounds; i++) await everyCall(context, signal)
      assert.equal(getEventListeners(signal, 'abort').length, 0, 'listeners left')
      assert.equal(await readText(store, 'k'), 'x')
    },
  },
  {
    id: 'AB10',
    promise: 'a store that does not answer is a Timeout, with unknown outcome for a write',
    needs: ['faults', 'retry'],
    async run(context) {
      const { store, faults, retry } = context
      const limit = retry.totalMs + 2 * retry.attemptTimeoutMs + 2000
      const times = Number.POSITIVE_INFINITY
      faults.stall({ times })
      // At the same time: most of the case is waiting for the end of the retries.
      const [head, put] = await Promise.all([
        within(limit, 'the timeout of head', rejection(store.head('k'))),
        within(limit, 'the timeout of put', rejection(store.put('k', text('x')))),
      ])
      assert.equal((head as { code?: string }).code, 'Timeout')
      const { code, outcome, retryable } = put as Record<string, unknown>
      assert.deepEqual(
        { code, outcome, retryable },
        { code: 'Timeout', outcome: 'unknown', retryable: true },
      )
    },
  },
]

async function everyCall({ store }: CaseContext, signal: AbortSignal): Promise<void> {
  await store.check({ signal })
  await store.put('k', text('x'), { signal })
  await store.put('k', { open: () => [text('x')] }, { signal })
  await drain((await store.get('k', { signal })).body)
  await store.head('k', { signal })
  await collect(store.list({ signal }))
  await collect(store.listDir({ signal }))
  for await (const _ of store.list({ signal })) break
  await store.delete('none', { signal })
  await collect(store.deleteMany(['none', ''], { signal }))
  await rejection(store.get('none', { signal }))
}

export const aborts: Facet = { name: 'aborts and timeouts', cases }
