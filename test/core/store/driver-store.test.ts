import { afterEach, describe, expect, it, vi } from 'vitest'
import { MemoryContainer, MemoryDriver } from '../../../src/backends/memory/index.ts'
import {
  type DriverCall,
  type DriverGetResult,
  DriverStore,
  readAll,
  StoreError,
} from '../../../src/core/store/index.ts'

afterEach(() => vi.useRealTimers())

/** A driver whose parts a test replaces. */
class OddDriver extends MemoryDriver {
  constructor() {
    super(new MemoryContainer(), 'odd')
  }
}

async function withBody(body: DriverGetResult['body'], range = { start: 0, end: 5 }) {
  const driver = new OddDriver()
  const store = new DriverStore(driver)
  await store.put('k', Buffer.from('12345'))
  const { info } = await store.get('k')
  driver.get = async () => ({ info, range, body })
  return store
}

async function* chunks(...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (const size of sizes) yield new Uint8Array(size)
}

describe('the body of a get', () => {
  it.each([
    ['bytes that are too few', () => new Uint8Array(4), /ended after 4 of its 5 bytes/],
    ['bytes that are too many', () => new Uint8Array(6), /continued past its 5 bytes/],
    ['a stream that ends early', () => chunks(2, 2), /ended after 4 of its 5 bytes/],
    ['a stream that does not end in time', () => chunks(3, 3, 3), /continued past its 5 bytes/],
  ])('of %s is Corrupted, and may be asked for again', async (_what, body, message) => {
    const { body: read } = await (await withBody(body())).get('k')
    const failure = readAll(read)
    await expect(failure).rejects.toThrow(message)
    await expect(failure).rejects.toMatchObject({ code: 'Corrupted', retryable: true })
  })

  it('has no empty chunks', async () => {
    const { body } = await (await withBody(chunks(0, 2, 0, 3, 0))).get('k')
    const sizes: number[] = []
    for await (const chunk of body) sizes.push(chunk.byteLength)
    expect(sizes).toEqual([2, 3])
  })

  it('of nothing yields nothing', async () => {
    const store = await withBody(new Uint8Array(0), { start: 0, end: 0 })
    for await (const _ of (await store.get('k')).body) expect.unreachable()
  })

  it('that is a stream which is never read times out after ten seconds', async () => {
    const driver = new OddDriver()
    const store = new DriverStore(driver)
    await store.put('k', Buffer.from('12345'))
    let signal: AbortSignal | undefined
    const get = driver.get.bind(driver)
    driver.get = (key, options) => {
      signal = options.signal
      return get(key, options)
    }
    vi.useFakeTimers()
    const { body } = await store.get('k')
    vi.advanceTimersByTime(9000)
    expect(signal?.aborted).toBe(false)
    vi.advanceTimersByTime(1001)
    expect(signal?.aborted).toBe(true)
    await expect(readAll(body)).rejects.toMatchObject({ code: 'Timeout', retryable: true })
  })
})

describe('the body of a put', () => {
  it('must not be larger than the store accepts, whether its size is known or not', async () => {
    const driver = new OddDriver()
    Object.assign(driver, { capabilities: { ...driver.capabilities, maxObjectBytes: 5 } })
    const store = new DriverStore(driver)
    await store.put('k', Buffer.from('12345'))
    for (const body of [Buffer.from('123456'), { open: () => chunks(3, 3) }]) {
      const failure = store.put('k', body)
      await expect(failure).rejects.toMatchObject({ code: 'InvalidArgument' })
      await expect(failure).rejects.toThrow('larger than the 5 bytes')
    }
    expect((await store.head('k'))?.size).toBe(5)
  })
})

describe('errors of a driver', () => {
  const broken = new Error('E_BROKEN')
  const calls: readonly (readonly [string, (store: DriverStore) => Promise<unknown>])[] = [
    ['check', (store) => store.check()],
    ['put', (store) => store.put('k', new Uint8Array(1), { ifAbsent: true })],
    ['get', (store) => store.get('k')],
    ['head', (store) => store.head('k')],
    ['list', (store) => readAllOf(store.list())],
    ['list', (store) => readAllOf(store.listDir())],
    ['delete', (store) => store.delete('k')],
  ]

  function brokenDriver(): OddDriver {
    const driver = new OddDriver()
    const fail = async () => {
      throw broken
    }
    const list = () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) })
    return Object.assign(driver, {
      check: fail,
      put: fail,
      get: fail,
      head: fail,
      delete: fail,
      list,
    })
  }

  it.each(calls)('of %s are mapped with what the call was about', async (op, work) => {
    const seen: DriverCall[] = []
    const driver = Object.assign(brokenDriver(), {
      mapError: (error: unknown, call: DriverCall) => {
        expect(error).toBe(broken)
        seen.push(call)
        return new StoreError('NoSpace', 'mapped', { op: call.op })
      },
    })
    await expect(work(new DriverStore(driver))).rejects.toMatchObject({ code: 'NoSpace' })
    expect(seen.map((call) => call.op)).toEqual([op])
    if (op === 'put') expect(seen[0]).toEqual({ op, key: 'k', condition: 'ifAbsent' })
  })

  it.each(calls)('of %s without a mapping are Unknown, with their cause', async (op, work) => {
    const failure = work(new DriverStore(brokenDriver()))
    await expect(failure).rejects.toMatchObject({ code: 'Unknown', op, cause: broken })
  })

  it('of a batch are those of each of its keys', async () => {
    const driver = Object.assign(new OddDriver(), {
      deleteBatch: async () => {
        throw broken
      },
    })
    const failures = await readAllOf(new DriverStore(driver).deleteMany(['a', '../b', 'c', 'a']))
    expect(failures.map(({ key, error }) => [key, error.code, error.key])).toEqual([
      ['../b', 'InvalidKey', '../b'],
      ['a', 'Unknown', 'a'],
      ['c', 'Unknown', 'c'],
    ])
  })
})

describe('deleteMany', () => {
  it('pulls few keys at a time where each is a request, so that a caller sees progress', async () => {
    const driver = new OddDriver()
    let deleted = 0
    let ahead = 0
    let pulled = 0
    driver.delete = async () => {
      deleted++
    }
    const keys = (function* () {
      for (; pulled < 200; pulled++) {
        ahead = Math.max(ahead, pulled - deleted)
        yield `k${pulled}`
      }
    })()
    expect(await readAllOf(new DriverStore(driver).deleteMany(keys))).toEqual([])
    expect(deleted).toBe(200)
    expect(ahead).toBeLessThanOrEqual(16)
  })
})

async function readAllOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
