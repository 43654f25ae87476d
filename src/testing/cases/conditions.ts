import assert from 'node:assert/strict'
import type { ObjectStore, PutOptions, Version } from '../../core/store/index.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import { background, collect, keysOf, readText, rejectsWith, text } from '../expect.ts'

const GARBAGE = '"no-such-version"' as Version

const cases: readonly ContractCase[] = [
  {
    id: 'CD01',
    promise: 'a create-only put of a new key succeeds',
    needs: ['ifAbsent'],
    async run({ store }) {
      const { version } = await store.put('k', text('new'), { ifAbsent: true })
      assert.equal(await readText(store, 'k'), 'new')
      assert.equal((await store.head('k'))?.version, version)
    },
  },
  {
    id: 'CD02',
    promise: 'a create-only put of an existing key is AlreadyExists and changes nothing',
    needs: ['ifAbsent'],
    async run({ store }) {
      const { version } = await store.put('k', text('old'))
      const put = store.put('k', text('new'), { ifAbsent: true })
      const error = await rejectsWith('AlreadyExists', put, { key: 'k', outcome: 'not-applied' })
      assert.equal(error.retryable, false)
      assert.equal(await readText(store, 'k'), 'old')
      assert.equal((await store.head('k'))?.version, version)
    },
  },
  {
    id: 'CD03',
    promise: 'a create-only put succeeds again after a delete',
    needs: ['ifAbsent'],
    async run({ store }) {
      await store.put('k', text('first'), { ifAbsent: true })
      await store.delete('k')
      await store.put('k', text('second'), { ifAbsent: true })
      assert.equal(await readText(store, 'k'), 'second')
    },
  },
  {
    id: 'CD08',
    promise: 'a put with ifMatch needs the current version',
    needs: ['ifMatch'],
    async run({ store }) {
      const first = await store.put('k', text('1'))
      const second = await store.put('k', text('2'), { ifMatch: first.version })
      for (const ifMatch of [first.version, GARBAGE]) {
        await rejectsWith('PreconditionFailed', store.put('k', text('3'), { ifMatch }), {
          key: 'k',
        })
      }
      assert.equal(await readText(store, 'k'), '2')
      assert.equal((await store.head('k'))?.version, second.version)
    },
  },
  {
    id: 'CD09',
    promise: 'a put with ifMatch on a missing key is PreconditionFailed and creates nothing',
    needs: ['ifMatch'],
    async run({ store }) {
      const gone = await store.put('gone', text('x'))
      await store.delete('gone')
      for (const [key, ifMatch] of [
        ['gone', gone.version],
        ['never', GARBAGE],
      ] as const) {
        await rejectsWith('PreconditionFailed', store.put(key, text('y'), { ifMatch }), { key })
        assert.equal(await store.head(key), undefined)
      }
      assert.deepEqual(await keysOf(store), [])
    },
  },
  {
    id: 'CD10',
    promise: 'read-modify-write by ifMatch loses no update',
    needs: ['ifMatch'],
    async run(context) {
      await context.store.put('counter', text('0'))
      const clients = await Promise.all([0, 1, 2, 3, 4].map(() => context.client()))
      await Promise.all(
        clients.map(async (client) => {
          for (let i = 0; i < 10; i++) await increment(client)
        }),
      )
      assert.equal(await readText(context.store, 'counter'), '50')
    },
  },
  {
    id: 'CD11',
    promise: 'a version from put, head, get or list serves as ifMatch at once',
    needs: ['ifMatch'],
    async run({ store }) {
      let { version } = await store.put('k', text('0'))
      for (let i = 0; i < 3; i++) {
        ;({ version } = await store.put('k', text(`put ${i}`), { ifMatch: version }))
        const head = await store.head('k')
        await store.put('k', text(`head ${i}`), { ifMatch: head!.version })
        const { info } = await store.get('k')
        await store.put('k', text(`get ${i}`), { ifMatch: info.version })
        const [listed] = await collect(store.list())
        ;({ version } = await store.put('k', text(`list ${i}`), { ifMatch: listed!.version }))
      }
      assert.equal(await readText(store, 'k'), 'list 2')
    },
  },
  {
    id: 'CD12',
    promise: 'a delete with ifMatch needs the current version',
    needs: ['deleteIfMatch'],
    async run({ store }) {
      const old = await store.put('k', text('1'))
      const now = await store.put('k', text('2'))
      for (const ifMatch of [old.version, GARBAGE]) {
        await rejectsWith('PreconditionFailed', store.delete('k', { ifMatch }), { key: 'k' })
      }
      assert.equal(await readText(store, 'k'), '2')
      await store.delete('k', { ifMatch: now.version })
      assert.equal(await store.head('k'), undefined)
      // For a missing object: success or PreconditionFailed, depending on the provider, and nothing else.
      await store
        .delete('k', { ifMatch: now.version })
        .catch((error) => rejectsWith('PreconditionFailed', Promise.reject(error)))
    },
  },
  {
    id: 'CD13',
    promise: 'two conditions at once are InvalidArgument, and no request is sent',
    async run(context) {
      const both = { ifAbsent: true, ifMatch: GARBAGE } as unknown as PutOptions
      await context.sends(0, async () => {
        await rejectsWith('InvalidArgument', context.store.put('k', text('x'), both))
      })
      assert.equal(await context.store.head('k'), undefined)
    },
  },
  {
    id: 'CD14',
    promise: 'a store without create-only puts refuses them as Unsupported, without a request',
    needs: ['no ifAbsent'],
    async run(context) {
      const { store } = context
      await store.put('k', text('old'))
      await context.sends(0, async () => {
        for (const key of ['k', 'new']) {
          await rejectsWith('Unsupported', store.put(key, text('x'), { ifAbsent: true }), { key })
        }
      })
      assert.equal(await readText(store, 'k'), 'old')
      assert.equal(await store.head('new'), undefined)
    },
  },
  {
    id: 'CD21',
    promise: 'a store without compare-and-swap puts refuses them as Unsupported, without a request',
    needs: ['no ifMatch'],
    async run(context) {
      const { store } = context
      const { version } = await store.put('k', text('old'))
      await context.sends(0, async () => {
        const put = store.put('k', text('x'), { ifMatch: version })
        await rejectsWith('Unsupported', put, { key: 'k' })
      })
      assert.equal(await readText(store, 'k'), 'old')
    },
  },
  {
    id: 'CD22',
    promise: 'a store without conditional deletes refuses them as Unsupported, without a request',
    needs: ['no deleteIfMatch'],
    async run(context) {
      const { store } = context
      const { version } = await store.put('k', text('old'))
      await context.sends(0, async () => {
        await rejectsWith('Unsupported', store.delete('k', { ifMatch: version }), { key: 'k' })
      })
      assert.equal(await readText(store, 'k'), 'old')
    },
  },
  {
    id: 'CD23',
    promise: 'a condition is judged when the bytes are complete, not when the put begins',
    needs: ['ifAbsent'],
    async run({ store }) {
      const started = Promise.withResolvers<void>()
      const go = Promise.withResolvers<void>()
      const body = {
        size: 4,
        async *open() {
          yield text('sl')
          started.resolve()
          await go.promise
          yield text('ow')
        },
      }
      const slow = background(store.put('k', body, { ifAbsent: true }))
      await Promise.race([started.promise, slow])
      await store.put('k', text('fast'), { ifAbsent: true })
      go.resolve()
      await rejectsWith('AlreadyExists', slow, { key: 'k' })
      assert.equal(await readText(store, 'k'), 'fast')
    },
  },
]

async function increment(store: ObjectStore): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const { info, body } = await store.get('counter')
    let value = ''
    for await (const chunk of body) value += new TextDecoder().decode(chunk)
    try {
      await store.put('counter', text(String(Number(value) + 1)), { ifMatch: info.version })
      return
    } catch (error) {
      await rejectsWith('PreconditionFailed', Promise.reject(error))
    }
  }
  assert.fail('an increment lost 1,000 times in a row')
}

export const conditions: Facet = { name: 'conditions', cases }
