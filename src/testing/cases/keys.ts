import assert from 'node:assert/strict'
import {
  decodeSegment,
  encodeSegment,
  isStoreError,
  type ObjectStore,
} from '../../core/store/index.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import { bytes, collect, keysOf, putAll, readText, rejectsWith, text } from '../expect.ts'

const LEGAL = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_=-'

/** Each of these was accepted, altered or lost by some provider or file system. */
export const ILLEGAL_KEYS: readonly string[] = [
  ...[
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    '../x',
    'a/../b',
    'a/./b',
    'a/..',
    '.x',
    'x.',
    'a/.x/b',
  ],
  ...[
    'a\\b',
    'a b',
    ' a',
    '%2e%2e/x',
    'a%2Fb',
    'a+b',
    'a~',
    "a'b",
    'a"b',
    'a:b',
    'a?b',
    'a#b',
    'a*b',
  ],
  ...['\u00e9', 'e\u0301', '\u{1f600}', '\ud800', 'a\0b', 'a\nb', '\u007f', 'a\tb'],
  ...['x'.repeat(513), `a/${'y'.repeat(201)}`, `${'z/'.repeat(256)}z`],
]

const cases: readonly ContractCase[] = [
  {
    id: 'KY01',
    promise: 'every legal key makes the round trip: all characters, shortest, longest, deepest',
    async run({ store }) {
      const longest = `${'a'.repeat(200)}/${'b'.repeat(200)}/${'c'.repeat(200)}`
      const keys = [
        LEGAL,
        'a.b..c',
        'd',
        longest.slice(0, Math.min(512, store.capabilities.maxKeyBytes)).replace(/\/$/, ''),
        's'.repeat(200),
        Array.from({ length: 30 }, (_, i) => `l${i}`).join('/'),
        '=2E=2E/x',
        '-/--/_',
      ]
      for (const key of keys) await store.put(key, text(key))
      assert.deepEqual(await keysOf(store), [...keys].sort())
      for (const key of keys) {
        assert.equal(await readText(store, key), key)
        assert.equal((await store.head(key))?.key, key)
        await store.delete(key)
      }
      assert.deepEqual(await keysOf(store), [])
    },
  },
  {
    id: 'KY02',
    promise: 'an illegal key is InvalidKey from every method, and no request is sent',
    async run(context) {
      const { store } = context
      await context.sends(0, async () => {
        for (const key of ILLEGAL_KEYS) {
          await rejectsWith('InvalidKey', () => store.put(key, text('x')))
          await rejectsWith('InvalidKey', () => store.get(key))
          await rejectsWith('InvalidKey', () => store.head(key))
          await rejectsWith('InvalidKey', () => store.delete(key))
        }
        await rejectsWith('InvalidKey', () => store.head(undefined as unknown as string))
      })
      const failures = await collect(store.deleteMany(ILLEGAL_KEYS))
      assert.deepEqual(failures.map(({ key }) => key).sort(), [...ILLEGAL_KEYS].sort())
      assert.ok(failures.every(({ error }) => error.code === 'InvalidKey'))
      assert.deepEqual(await keysOf(store), [])
    },
  },
  {
    id: 'KY03',
    promise: 'any name makes the round trip as an encoded segment',
    async run({ store }) {
      const names = [
        'app.db',
        '.hidden',
        'trailing.',
        'été/..\\x',
        '\u{1f600}',
        'a=b',
        'a b',
        '=',
        '%',
      ]
      names.push(...Array.from({ length: 20 }, (_, i) => randomName(i + 1)))
      const distinct = [...new Set(names)]
      for (const name of distinct) await store.put(encodeSegment(name), text(name))
      const listed = await keysOf(store)
      assert.equal(listed.length, distinct.length, 'two names became one key')
      for (const key of listed) assert.equal(await readText(store, key), decodeSegment(key))
    },
  },
  {
    id: 'KY04',
    promise: 'a store rooted at a prefix sees nothing outside it, and its keys are relative',
    async run(context) {
      const { store } = context
      const inner = await context.client('p/a')
      await putAll(store, ['p/ab', 'p/a-x', 'p/b', 'q'])
      assert.deepEqual(await keysOf(inner), [])
      assert.equal(await inner.head('b'), undefined)
      const put = await inner.put('k/1', text('inner'))
      assert.equal(put.size, 5)
      const [listed] = await collect(inner.list({ prefix: 'k' }))
      assert.equal(listed?.key, 'k/1')
      assert.equal((await inner.get('k/1')).info.key, 'k/1')
      assert.equal((await inner.head('k/1'))?.key, 'k/1')
      assert.deepEqual(await collect(inner.listDir()), [{ kind: 'prefix', prefix: 'k/' }])
      await rejectsWith('NotFound', inner.get('none'), { key: 'none' })
      assert.equal(await readText(store, 'p/a/k/1'), 'inner')
      assert.deepEqual(await keysOf(inner, { startAfter: 'k/0' }), ['k/1'])
      assert.deepEqual(await collect(inner.deleteMany(['k/1', 'b'])), [])
      assert.deepEqual(await keysOf(store), ['p/a-x', 'p/ab', 'p/b', 'q'])
    },
  },
  {
    id: 'KY05',
    promise: 'a key below another key is kept, and so is the other',
    needs: ['flat namespace'],
    async run({ store }) {
      await store.put('a', text('object'))
      await store.put('a/b', text('below'))
      assert.equal(await readText(store, 'a'), 'object')
      assert.equal(await readText(store, 'a/b'), 'below')
      assert.deepEqual(await keysOf(store), ['a', 'a/b'])
      await store.delete('a')
      assert.equal(await readText(store, 'a/b'), 'below')
    },
  },
  {
    id: 'KY09',
    promise: 'a key below another key is refused as InvalidKey, and the first is kept',
    needs: ['no flat namespace'],
    async run({ store }) {
      await store.put('a', text('object'))
      await rejectsWith('InvalidKey', store.put('a/b', text('below')), { key: 'a/b' })
      assert.equal(await readText(store, 'a'), 'object')
      await store.put('d/e', text('below'))
      await rejectsWith('InvalidKey', store.put('d', text('object')), { key: 'd' })
      assert.equal(await readText(store, 'd/e'), 'below')
      assert.equal(await store.head('a/b'), undefined)
      await store.delete('a/b')
      assert.deepEqual(await keysOf(store), ['a', 'd/e'])
    },
  },
  {
    id: 'KY06',
    promise: 'keys that differ only in case stay apart, or the second is refused',
    async run({ store }) {
      await store.put('Case/x', text('upper'))
      const second = await store.put('case/x', text('lower')).catch((error: unknown) => error)
      assert.equal(await readText(store, 'Case/x'), 'upper')
      if (isStoreError(second)) assert.equal(second.code, 'InvalidKey')
      else assert.equal(await readText(store, 'case/x'), 'lower')
    },
  },
  {
    id: 'KY07',
    promise:
      'a key that looks like a temporary or internal name is refused, or works like any other',
    async run({ store }) {
      const names = [
        'x.tmp',
        'x.attrs',
        '.walsync-tmp/x',
        '.tmp',
        'x#1',
        '_part',
        'x.0',
        '$x',
        'tmp',
      ]
      const kept: string[] = []
      for (const key of names) {
        const refused = await store.put(key, text(key)).then(
          () => undefined,
          (error) => error,
        )
        if (refused === undefined) kept.push(key)
        else await rejectsWith('InvalidKey', Promise.reject(refused))
      }
      assert.deepEqual(await keysOf(store), kept.sort())
      for (const key of kept) assert.equal(await readText(store, key), key)
    },
  },
  {
    id: 'KY08',
    promise: 'a prefix or startAfter that is not a key lists nothing outside it and does no harm',
    async run(context) {
      const outer = context.store
      const inner = await context.client('room')
      await putAll(outer, ['room/in', 'roof', 'room2/x'])
      for (const prefix of [
        '..',
        '../',
        '../roo',
        '/',
        '//',
        './',
        '\\',
        'in/../..',
        '\0',
        '%2e%2e',
      ]) {
        const got = await safeKeys(inner, prefix)
        assert.deepEqual(got, [], `prefix ${JSON.stringify(prefix)}`)
        assert.deepEqual(await collectDirs(inner, prefix), [], `one level of ${prefix}`)
      }
      for (const startAfter of ['..', '../room2', '!', '/']) {
        assert.deepEqual(await keysOf(inner, { startAfter }), ['in'], `after ${startAfter}`)
      }
    },
  },
]

/** Keys under a prefix; none if the store refuses the prefix as illegal. */
async function safeKeys(store: ObjectStore, prefix: string): Promise<string[]> {
  return keysOf(store, { prefix }).catch(async (error) => {
    await rejectsWith(['InvalidKey', 'InvalidArgument'], Promise.reject(error))
    return []
  })
}

async function collectDirs(store: ObjectStore, prefix: string): Promise<unknown[]> {
  return collect(store.listDir({ prefix })).catch(async (error) => {
    await rejectsWith(['InvalidKey', 'InvalidArgument'], Promise.reject(error))
    return []
  })
}

function randomName(seed: number): string {
  const random = bytes(16, seed)
  const points = Array.from(random, (byte, i) => (i % 2 === 0 ? byte : 0x3000 + byte))
  return String.fromCodePoint(...points)
}

export const keys: Facet = { name: 'keys', cases }
