import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../../src/backends/memory/index.ts'
import {
  type ObjectStore,
  RetryingStore,
  type RetryOptions,
  StoreError,
  type StoreErrorOptions,
} from '../../../../src/core/store/index.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

/** A head that fails `failures` times, on a clock that only sleeping moves. */
function rig(failures: number, error: Partial<StoreErrorOptions> = {}, options: RetryOptions = {}) {
  const inner = new MemoryObjectStore()
  const sleeps: number[] = []
  let clock = 0
  let calls = 0
  inner.head = async (key) => {
    calls++
    if (calls > failures) return undefined
    throw new StoreError('Unavailable', 'down', { op: 'head', key, ...error })
  }
  const store = new RetryingStore(inner, {
    random: () => 0.5,
    now: () => clock,
    sleep: async (ms) => {
      sleeps.push(ms)
      clock += ms
    },
    ...options,
  })
  return { store, sleeps, calls: () => calls }
}

describe('RetryingStore', () => {
  it('doubles the ceiling of its pauses up to the maximum, with full jitter', async () => {
    const { store, sleeps } = rig(6, {}, { baseDelayMs: 100, maxDelayMs: 1000 })
    await store.head('k')
    expect(sleeps).toEqual([50, 100, 200, 400, 500, 500])
  })

  it('stops after the set number of attempts and says so', async () => {
    const { store, calls } = rig(99, {}, { attempts: 3 })
    await expect(store.head('k')).rejects.toMatchObject({
      code: 'Unavailable',
      key: 'k',
      message: expect.stringContaining('gave up after 3 attempts'),
    })
    expect(calls()).toBe(3)
  })

  it('starts no attempt past the total time', async () => {
    const { store, sleeps } = rig(99, {}, { attempts: 99, totalMs: 1000, maxDelayMs: 400 })
    await expect(store.head('k')).rejects.toMatchObject({ code: 'Unavailable' })
    expect(sleeps.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(1000)
  })

  it('waits as long as the store asks, and not at all if that is past the total time', async () => {
    const patient = rig(1, { retryAfterMs: 7000 })
    await patient.store.head('k')
    expect(patient.sleeps).toEqual([7000])
    const late = rig(1, { retryAfterMs: 7000 }, { totalMs: 5000 })
    await expect(late.store.head('k')).rejects.toMatchObject({ code: 'Unavailable' })
    expect(late.sleeps).toEqual([])
  })

  it('does not retry what is not retryable', async () => {
    const { store, calls } = rig(1, { retryable: false })
    await expect(store.head('k')).rejects.toMatchObject({ message: 'down' })
    expect(calls()).toBe(1)
  })

  it('reports the unknown outcome of an earlier attempt even if a later one is refused', async () => {
    const inner = new MemoryObjectStore()
    const errors = [
      new StoreError('Unavailable', 'lost', { op: 'put', outcome: 'unknown' }),
      new StoreError('PermissionDenied', 'no', { op: 'put' }),
    ]
    inner.put = async () => {
      throw errors.shift()
    }
    const store = new RetryingStore(inner, { baseDelayMs: 1 })
    await expect(store.put('k', bytes('x'))).rejects.toMatchObject({
      code: 'PermissionDenied',
      outcome: 'unknown',
    })
  })

  it('compares bytes cut into other chunks, and notices a difference in the last one', async () => {
    for (const [stored, won] of [
      ['abcdef', true],
      ['abcdeX', false],
      ['abcdefg', false],
    ] as const) {
      const inner = new MemoryObjectStore()
      const put = inner.put.bind(inner)
      let first = true
      inner.put = async (key, body, options) => {
        if (!first) return put(key, body, options)
        first = false
        await put(key, bytes(stored))
        throw new StoreError('Unavailable', 'lost', { op: 'put', key, outcome: 'unknown' })
      }
      const store = new RetryingStore(inner, { baseDelayMs: 1 })
      const body = { open: () => [bytes('ab'), bytes('c'), bytes('def')] }
      const result = store.put('k', body, { ifAbsent: true })
      if (won) await expect(result).resolves.toMatchObject({ size: 6 })
      else await expect(result).rejects.toMatchObject({ code: 'AlreadyExists', outcome: 'unknown' })
    }
  })

  it('counts a delete whose answer was lost as done', async () => {
    const inner = new MemoryObjectStore()
    const { version } = await inner.put('k', bytes('x'))
    const remove = inner.delete.bind(inner)
    let first = true
    inner.delete = async (key, options) => {
      await remove(key, options)
      if (!first) return
      first = false
      throw new StoreError('Unavailable', 'lost', { op: 'delete', key, outcome: 'unknown' })
    }
    const store = new RetryingStore(inner, { baseDelayMs: 1 })
    await expect(store.delete('k', { ifMatch: version })).resolves.toBeUndefined()
  })

  it('does not count the time that it waits for the source of a put', async () => {
    const store = new RetryingStore(new MemoryObjectStore(), { attemptTimeoutMs: 50 })
    const body = {
      async *open() {
        yield bytes('slow ')
        await new Promise((resolve) => setTimeout(resolve, 200))
        yield bytes('source')
      },
    }
    await expect(store.put('k', body)).resolves.toMatchObject({ size: 11 })
  })

  it('leaves an attempt alone that does not even answer an abort', async () => {
    const inner: ObjectStore = new MemoryObjectStore()
    inner.head = () => new Promise(() => {})
    const store = new RetryingStore(inner, { attempts: 1, attemptTimeoutMs: 20 })
    await expect(store.head('k')).rejects.toMatchObject({ code: 'Timeout' })
  })

  it('ends its pauses when it is closed', async () => {
    const { store } = rig(99, { retryAfterMs: 30_000 }, { sleep: undefined, totalMs: 60_000 })
    const head = expect(store.head('k')).rejects.toMatchObject({ code: 'Closed' })
    await new Promise((resolve) => setTimeout(resolve, 10))
    await store.close()
    await head
  })

  it.each([
    ['attempts', 0],
    ['totalMs', -1],
    ['attemptTimeoutMs', Number.NaN],
  ])('refuses %s = %s', (name, value) => {
    const make = () => new RetryingStore(new MemoryObjectStore(), { [name]: value })
    expect(make).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
  })
})
