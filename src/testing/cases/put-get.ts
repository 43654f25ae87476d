import assert from 'node:assert/strict'
import type { PutSource } from '../../core/store/index.ts'
import type { ContractCase, Facet } from '../contract-case.ts'
import {
  bytes,
  collect,
  drain,
  keysOf,
  read,
  readText,
  rejection,
  rejectsWith,
  sameBytes,
  source,
  text,
} from '../expect.ts'

const cases: readonly ContractCase[] = [
  {
    id: 'PG01',
    promise: 'the bytes of a put come back exactly, and head knows their number',
    async run({ store }) {
      const body = bytes(100_003)
      const result = await store.put('dir/one', body)
      assert.equal(result.size, body.byteLength, 'size in the result of put')
      sameBytes(await read(store, 'dir/one'), body)
      assert.equal((await store.head('dir/one'))?.size, body.byteLength, 'size in head')
    },
  },
  {
    id: 'PG02',
    promise: 'a source of odd chunks is stored as their concatenation',
    async run({ store }) {
      const body = bytes(64 * 1024 + 9)
      const chunks = [body.subarray(0, 1), body.subarray(1, 8), body.subarray(8)]
      await store.put('odd', source(chunks, body.byteLength))
      sameBytes(await read(store, 'odd'), body)
    },
  },
  {
    id: 'PG03',
    promise: 'a source of unknown size is stored as well',
    async run({ store }) {
      const body = bytes(200_000, 3)
      const result = await store.put('unsized', source([body.subarray(0, 7), body.subarray(7)]))
      assert.equal(result.size, body.byteLength)
      sameBytes(await read(store, 'unsized'), body)
    },
  },
  {
    id: 'PG04',
    promise: 'an empty object exists, has size 0, and its body yields no chunk',
    async run({ store }) {
      await store.put('empty', new Uint8Array())
      assert.equal((await store.head('empty'))?.size, 0)
      assert.deepEqual(await collect((await store.get('empty')).body), [], 'chunks of the body')
      const [listed] = await collect(store.list())
      assert.equal(listed?.size, 0, 'size in the listing')
    },
  },
  {
    id: 'PG05',
    promise: 'a source without chunks, or with empty ones only, makes an empty object',
    async run({ store }) {
      await store.put('none', source([], 0))
      await store.put('blank', source([new Uint8Array(), new Uint8Array()]))
      await store.put('mixed', source([new Uint8Array(), text('x'), new Uint8Array()], 1))
      assert.equal((await store.head('none'))?.size, 0)
      assert.equal((await store.head('blank'))?.size, 0)
      assert.equal(await readText(store, 'mixed'), 'x')
    },
  },
  {
    id: 'PG06',
    promise: 'a later put wins completely: no tail of a longer one remains',
    async run({ store }) {
      await store.put('k', bytes(5000))
      await store.put('k', text('short'))
      assert.equal(await readText(store, 'k'), 'short')
      assert.equal((await store.head('k'))?.size, 5)
    },
  },
  {
    id: 'PG07',
    promise: 'the same put may be repeated',
    async run({ store }) {
      await store.put('k', text('same'))
      await store.put('k', text('same'))
      assert.equal(await readText(store, 'k'), 'same')
      assert.deepEqual(await keysOf(store), ['k'])
    },
  },
  {
    id: 'PG08',
    promise: 'put, head, get and list agree on size and version',
    async run({ store }) {
      const put = await store.put('k', bytes(1234))
      const head = await store.head('k')
      const { info } = await store.get('k')
      const [listed] = await collect(store.list())
      for (const seen of [head, info, listed]) {
        assert.equal(seen?.key, 'k')
        assert.equal(seen?.size, put.size, 'size')
        assert.equal(seen?.version, put.version, 'version')
      }
    },
  },
  {
    id: 'PG09',
    promise: 'different bytes have different versions, even with the same size at the same moment',
    async run({ store }) {
      const createdAt = new Date('2024-05-06T07:08:09.123Z')
      const versions = new Set<string>()
      for (let i = 0; i < 12; i++) {
        const options = i % 2 === 0 ? { createdAt } : {}
        versions.add(
          (await store.put('k', text(`value ${i % 10}${i > 9 ? 'b' : 'a'}`), options)).version,
        )
      }
      await store.delete('k')
      versions.add((await store.put('k', text('value xx'), { createdAt })).version)
      assert.equal(versions.size, 13, 'number of versions')
    },
  },
  {
    id: 'PG10',
    promise: 'every byte value is stored, even where it is not valid UTF-8',
    async run({ store }) {
      const all = Uint8Array.from({ length: 512 }, (_, i) => (i < 256 ? i : 511 - i))
      await store.put('binary', all)
      sameBytes(await read(store, 'binary'), all)
    },
  },
  {
    id: 'PG11',
    promise: 'the caller may reuse its buffer once put has resolved',
    async run({ store }) {
      const buffer = text('original')
      await store.put('k', buffer)
      buffer.fill(0)
      assert.equal(await readText(store, 'k'), 'original')
      const [chunk] = await collect((await store.get('k')).body)
      chunk?.fill(0)
      assert.equal(await readText(store, 'k'), 'original', 'after a reader wrote into its chunk')
    },
  },
  {
    id: 'PG12',
    promise: 'only the view is stored of a larger buffer',
    async run({ store }) {
      const pool = text('secret-[value]-secret')
      await store.put('view', pool.subarray(8, 13))
      await store.put('chunk', source([pool.subarray(8, 10), pool.subarray(10, 13)], 5))
      assert.equal(await readText(store, 'view'), 'value')
      assert.equal(await readText(store, 'chunk'), 'value')
    },
  },
  {
    id: 'PG13',
    promise: 'a source that yields more or fewer bytes than its size stores nothing',
    async run({ store }) {
      await store.put('old', text('old'))
      for (const size of [4, 6]) {
        const body = source([text('ab'), text('cde')], size)
        await rejectsWith('InvalidArgument', store.put('new', body), { key: 'new' })
        await rejectsWith('InvalidArgument', store.put('old', body), { key: 'old' })
      }
      assert.equal(await store.head('new'), undefined)
      assert.equal(await readText(store, 'old'), 'old')
    },
  },
  {
    id: 'PG14',
    promise: 'a source that throws fails the put with that error as cause, and nothing is stored',
    async run({ store }) {
      const failure = new Error('disk on fire')
      const error = await rejection(store.put('k', failing(failure)))
      assert.equal((error as Error).cause, failure, 'cause of the error')
      assert.equal(await store.head('k'), undefined)
      assert.deepEqual(await keysOf(store), [])
    },
  },
  {
    id: 'PG15',
    promise: 'a source that throws leaves the old object as it was',
    async run({ store }) {
      const { version } = await store.put('k', text('old'))
      await rejection(store.put('k', failing(new Error('no'))))
      assert.equal(await readText(store, 'k'), 'old')
      assert.equal((await store.head('k'))?.version, version)
    },
  },
  {
    id: 'PG16',
    promise: 'get of a missing key is NotFound and names the key; head is undefined',
    async run({ store }) {
      const error = await rejectsWith('NotFound', store.get('no/such.key'), { key: 'no/such.key' })
      assert.match(error.message, /no\/such\.key/, 'message')
      assert.equal(error.op, 'get')
      assert.equal(error.retryable, false)
      assert.equal(await store.head('no/such.key'), undefined)
    },
  },
  {
    id: 'PG17',
    promise: 'a key that is only the path of others does not exist',
    async run({ store }) {
      await store.put('dir/sub/leaf', text('x'))
      for (const key of ['dir', 'dir/sub']) {
        await rejectsWith('NotFound', store.get(key), { key })
        assert.equal(await store.head(key), undefined)
        await store.delete(key)
      }
      assert.equal(await readText(store, 'dir/sub/leaf'), 'x')
    },
  },
  {
    id: 'PG18',
    promise: 'a body may be left early, many times in a row',
    async run({ store }) {
      await store.put('big', bytes(3 * 1024 * 1024))
      for (let i = 0; i < 200; i++) {
        for await (const chunk of (await store.get('big')).body) {
          assert.ok(chunk.byteLength > 0)
          break
        }
      }
      assert.equal((await read(store, 'big')).byteLength, 3 * 1024 * 1024)
    },
  },
  {
    id: 'PG19',
    promise: 'a body may be left unread, many times in a row',
    async run({ store }) {
      await store.put('k', bytes(64 * 1024))
      for (let i = 0; i < 200; i++) await store.get('k')
      assert.equal((await read(store, 'k')).byteLength, 64 * 1024)
    },
  },
  {
    id: 'PG26',
    promise: 'a body is for one use: a second loop over it is refused, not empty',
    async run({ store }) {
      await store.put('k', text('once'))
      const { body } = await store.get('k')
      assert.equal(new TextDecoder().decode(await drain(body)), 'once')
      await rejection(async () => {
        for await (const _ of body);
      })
    },
  },
]

function failing(error: Error): PutSource {
  return {
    size: 20,
    async *open() {
      yield text('half of it')
      throw error
    },
  }
}

export const putGet: Facet = { name: 'put and get', cases }
