import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { isStoreError, type ObjectStore, type StoreErrorCode } from '../../core/store/index.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import { collect, keysOf, readText, rejection, rejectsWith, text, within } from '../expect.ts'

const FOR_EVER = Number.POSITIVE_INFINITY

const cases: readonly ContractCase[] = [
  {
    id: 'ER01',
    promise: 'a missing container is ContainerNotFound, never a missing key or an empty listing',
    needs: ['missing container'],
    async run(context) {
      const store = context.own((await context.harness.openMissingContainer?.()) as ObjectStore)
      const calls: Record<string, () => Promise<unknown>> = {
        check: () => store.check(),
        get: () => store.get('k'),
        head: () => store.head('k'),
        list: () => collect(store.list()),
        'list under a prefix': () => collect(store.list({ prefix: 'dir/' })),
        listDir: () => collect(store.listDir()),
      }
      for (const [name, call] of Object.entries(calls)) {
        const error = await rejectsWith('ContainerNotFound', call)
        assert.equal(error.retryable, false, name)
      }
    },
  },
  {
    id: 'ER02',
    promise: 'refused credentials are reported as such, and are not retried',
    needs: ['refused credentials'],
    async run(context) {
      const store = context.own((await context.harness.openRefused?.()) as ObjectStore)
      const calls = [
        () => store.check(),
        () => store.put('k', text('x')),
        () => store.get('k'),
        () => store.head('k'),
        () => collect(store.list()),
      ]
      for (const call of calls) {
        const error = await rejectsWith(['Unauthenticated', 'PermissionDenied'], call)
        assert.equal(error.retryable, false)
      }
    },
  },
  {
    id: 'ER03',
    promise: 'errors carry code, op and key, and neither they nor the description show a secret',
    async run(context) {
      const { store, harness } = context
      const error = await rejectsWith('NotFound', store.get('dir/none'), { key: 'dir/none' })
      assert.equal(error.op, 'get')
      assert.equal(error.name, 'StoreError')
      assert.match(error.message, /dir\/none/)
      const errors: unknown[] = [error]
      errors.push(await rejection(store.put('a//b', text('x'))))
      if (harness.openRefused !== undefined) {
        errors.push(await rejection(context.own(await harness.openRefused()).check()))
      }
      if (harness.faults !== undefined) {
        harness.faults.answer(403, { on: 'put' })
        errors.push(await rejection(store.put('k', text('x'))))
      }
      assert.ok(store.description.length > 0, 'description')
      const shown = [store.description, inspect(store, { depth: 10, showHidden: true })]
      for (const one of errors) {
        assert.ok(isStoreError(one))
        shown.push(inspect(one, { depth: 20, showHidden: true }), JSON.stringify(one), one.message)
        shown.push(String(one.stack))
      }
      for (const secret of harness.secrets ?? []) {
        assert.ok(!shown.some((s) => s.includes(secret)), 'a secret is shown')
      }
      for (const s of shown) assert.doesNotMatch(s, /[?&](X-Amz-Signature|sig)=\w{8}/i)
    },
  },
  {
    id: 'ER10',
    promise: 'errors are recognised by brand, not by class',
    async run({ store }) {
      const error = await rejection(store.get('none'))
      assert.ok(isStoreError(error))
      assert.ok(error instanceof Error)
      assert.ok(Symbol.for('walsync/StoreError') in error, 'brand')
      assert.ok(!isStoreError(new Error('none')))
    },
  },
  {
    id: 'ER04',
    promise: 'transient errors are retried by every method',
    needs: ['faults', 'retry'],
    timeoutMs: 120_000,
    async run({ store, faults, retry }) {
      await store.put('k', text('x'))
      const calls: readonly (() => Promise<unknown>)[] = [
        () => store.check(),
        () => store.put('k', text('x')),
        async () => assert.equal(await readText(store, 'k'), 'x'),
        async () => assert.equal((await store.head('k'))?.size, 1),
        async () => assert.deepEqual(await keysOf(store), ['k']),
        () => store.delete('none'),
        async () => assert.deepEqual(await collect(store.deleteMany(['none'])), []),
      ]
      const breaks = [
        () => faults.answer(503),
        () => faults.answer(500),
        () => faults.answer(429),
        () => faults.answer(408),
        () => faults.dropRequest(),
        () => faults.dropResponse(),
      ]
      assert.ok(retry.attempts > 1)
      for (const call of calls) {
        for (const breakIt of breaks) {
          faults.reset()
          breakIt()
          await call()
        }
      }
    },
  },
  {
    id: 'ER05',
    promise: 'permanent errors are not retried',
    needs: ['faults'],
    async run(context) {
      const { store, faults } = context
      const codes: [number, StoreErrorCode[]][] = [
        [403, ['PermissionDenied']],
        [401, ['Unauthenticated', 'PermissionDenied']],
        [400, ['InvalidArgument', 'Unknown']],
        [501, ['Unsupported']],
      ]
      for (const [status, expected] of codes) {
        faults.reset()
        faults.answer(status, { on: 'put', times: FOR_EVER })
        const error = await rejectsWith(expected, store.put('k', text('x')), { key: 'k' })
        assert.equal(error.retryable, false)
        assert.equal(error.outcome, 'not-applied')
        assert.equal(faults.requestCount('put'), 1, `requests that met ${status}`)
      }
    },
  },
  {
    id: 'ER06',
    promise: 'an outage ends the call when the budget is spent',
    needs: ['faults', 'retry'],
    timeoutMs: 120_000,
    async run({ store, faults, retry }) {
      faults.answer(503, { times: FOR_EVER })
      const limit = retry.totalMs + retry.attemptTimeoutMs + 2000
      const head = rejectsWith(['Unavailable', 'Throttled'], store.head('k'), { key: 'k' })
      const error = await within(limit, 'giving up', head)
      assert.equal(error.retryable, true)
      const sent = faults.requestCount()
      assert.ok(sent > 1 && sent <= retry.attempts, `${sent} attempts of ${retry.attempts}`)
    },
  },
  {
    id: 'ER07',
    promise: 'after a long outage the next call works at once',
    needs: ['faults', 'retry'],
    timeoutMs: 120_000,
    async run({ store, faults, retry }) {
      for (let i = 0; i < Math.ceil(30 / retry.attempts); i++) {
        faults.reset()
        faults.answer(503, { times: FOR_EVER })
        await rejection(store.head('k'))
      }
      faults.reset()
      await within(2000, 'a put after the outage', store.put('k', text('x')))
      faults.answer(503)
      await store.put('k', text('y'))
      assert.equal(await readText(store, 'k'), 'y')
    },
  },
  {
    id: 'ER08',
    promise: 'a put of a few bytes is one request, and so is a head',
    needs: ['faults'],
    async run(context) {
      await context.sends(1, () => context.store.put('k', text('x')))
      await context.sends(1, () => context.store.head('k'))
      await context.sends(1, () => readText(context.store, 'k'))
      await context.sends(1, () => context.store.delete('k'))
    },
  },
  {
    id: 'ER09',
    promise: 'an upload that arrived damaged is sent again',
    needs: ['faults', 'retry'],
    async run({ store, faults }) {
      faults.answer(400, { on: 'put', code: 'checksum' })
      await store.put('k', { open: () => [text('whole')] })
      assert.equal(await readText(store, 'k'), 'whole')
    },
  },
  {
    id: 'ER11',
    promise:
      'without a retry layer, transient errors are retryable, and a lost answer is an unknown outcome',
    needs: ['faults', 'no retry'],
    async run({ store, faults }) {
      const passing: readonly StoreErrorCode[] = ['Unavailable', 'Throttled', 'Timeout']
      for (const status of [408, 429, 500, 502, 503, 504]) {
        faults.reset()
        faults.answer(status)
        const error = await rejectsWith(passing, store.head('k'), { key: 'k' })
        assert.equal(error.retryable, true, `${status}`)
      }
      faults.reset()
      faults.dropResponse({ on: 'put' })
      const lost = await rejectsWith(passing, store.put('k', text('x')), { key: 'k' })
      assert.equal(lost.outcome, 'unknown')
      assert.equal(lost.retryable, true)
      faults.reset()
      faults.answer(503, { retryAfterMs: 3000 })
      const wait = await rejectsWith(passing, store.head('k'))
      assert.equal(wait.retryAfterMs, 3000, 'Retry-After')
    },
  },
]

export const errors: Facet = { name: 'errors and retries', cases }
