import assert from 'node:assert/strict'
import { childEnds } from '../child-client.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  background,
  bytes,
  collect,
  drain,
  pausedSource,
  readText,
  rejectsWith,
  text,
  within,
} from '../expect.ts'

const cases: readonly ContractCase[] = [
  {
    id: 'CL01',
    promise: 'close may be called twice, even at the same time, and `await using` calls it',
    async run(context) {
      const store = await context.client()
      await Promise.all([store.close(), store.close()])
      await store.close()
      const disposed = await context.client()
      await disposed[Symbol.asyncDispose]()
      await rejectsWith('Closed', disposed.head('k'))
    },
  },
  {
    id: 'CL02',
    promise: 'after close every method rejects with Closed',
    async run(context) {
      const store = await context.client()
      await store.put('k', text('x'))
      const { body } = await store.get('k')
      await store.close()
      const calls: Record<string, () => Promise<unknown>> = {
        check: () => store.check(),
        put: () => store.put('k', text('y')),
        get: () => store.get('k'),
        head: () => store.head('k'),
        list: () => collect(store.list()),
        listDir: () => collect(store.listDir()),
        delete: () => store.delete('k'),
        deleteMany: () => collect(store.deleteMany(['k'])),
        body: () => drain(body),
      }
      for (const [name, call] of Object.entries(calls)) {
        const error = await rejectsWith('Closed', call)
        assert.equal(error.retryable, false, name)
      }
      assert.equal(await readText(context.store, 'k'), 'x')
    },
  },
  {
    id: 'CL03',
    promise: 'close ends what is in flight with Closed, and resolves',
    async run(context) {
      const store = await context.client()
      await store.put('big', bytes(4 * 1024 * 1024))
      const paused = pausedSource(text('never'), text('ends'), 9)
      const put = background(rejectsWith('Closed', store.put('k', paused.body)))
      const { body } = await store.get('big')
      const reader = body[Symbol.asyncIterator]()
      await reader.next()
      const lister = store.list()[Symbol.asyncIterator]()
      await lister.next()
      await within(10_000, 'reading the source', paused.reached)
      await within(5000, 'close', store.close())
      await within(1000, 'the put', put)
      await rejectsWith('Closed', reader.next())
      await rejectsWith('Closed', lister.next())
      paused.go()
      assert.equal(await context.store.head('k'), undefined)
    },
  },
  {
    id: 'CL04',
    promise: 'after close nothing keeps the process alive',
    needs: ['child process'],
    async run(context) {
      await childEnds(context)
    },
  },
  {
    id: 'CL05',
    promise: 'closing one client leaves the others working',
    async run(context) {
      const one = await context.client()
      const two = await context.client()
      await one.put('k', text('x'))
      await one.close()
      assert.equal(await readText(two, 'k'), 'x')
      await two.put('k', text('y'))
      assert.equal(await readText(context.store, 'k'), 'y')
    },
  },
]

export const closing: Facet = { name: 'closing', cases }
