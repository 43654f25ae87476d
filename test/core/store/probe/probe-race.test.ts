import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../../../../src/backends/memory/index.ts'
import { type ObjectStore, raceCreates, StoreError } from '../../../../src/core/store/index.ts'

const WRITERS = 5

/** The store with another put; the one inside is the last argument. */
function withPut(put: ObjectStore['put'], inner: ObjectStore): ObjectStore {
  return new Proxy(inner, {
    get(target, name) {
      if (name === 'put') return put
      const value = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function race(change: (inner: ObjectStore) => ObjectStore['put']) {
  const inner = new MemoryObjectStore()
  const report = await raceCreates(withPut(change(inner), inner), { writers: WRITERS })
  for await (const { key } of inner.list()) expect.fail(`${key} was left behind`)
  return report
}

describe('raceCreates', () => {
  it('has exactly one winner where the store keeps its word', async () => {
    const bodies = new Set<string>()
    const report = await race((inner) => (key, body, options) => {
      bodies.add(Buffer.from(body as Uint8Array).toString('latin1'))
      return inner.put(key, body, options)
    })
    expect(report).toMatchObject({ status: 'ok', writers: WRITERS, winners: 1, failed: 0 })
    expect(bodies.size).toBe(WRITERS)
  })

  it('finds several winners', async () => {
    const report = await race((inner) => (key, body) => inner.put(key, body))
    expect(report).toMatchObject({ status: 'failed', winners: WRITERS })
    expect(report.sentence).toMatch(/5 were accepted: two writers/)
  })

  it('finds a winner whose bytes a loser has overwritten', async () => {
    let puts = 0
    const report = await race((inner) => async (key, body) => {
      const isFirst = puts++ === 0
      const result = await inner.put(key, body)
      if (!isFirst) throw failure('AlreadyExists', key)
      return result
    })
    expect(report).toMatchObject({ status: 'failed', winners: 1, failed: 0 })
    expect(report.sentence).toMatch(/get returns other bytes/)
  })

  it('finds that no writer wins', async () => {
    const report = await race(() => async (key) => {
      throw failure('AlreadyExists', key)
    })
    expect(report).toMatchObject({ status: 'failed', winners: 0, failed: 0 })
  })

  it('does not judge operations that the credentials do not permit', async () => {
    const report = await race(() => async (key) => {
      throw failure('PermissionDenied', key)
    })
    expect(report).toMatchObject({ status: 'untried', winners: 0, failed: WRITERS })
  })

  it('ends with the reason of its signal, and removes what was written', async () => {
    const inner = new MemoryObjectStore()
    const controller = new AbortController()
    const store = withPut(async (key, body, options) => {
      const result = await inner.put(key, body, options)
      controller.abort(new Error('enough'))
      return result
    }, inner)
    const racing = raceCreates(store, { writers: WRITERS, signal: controller.signal })
    await expect(racing).rejects.toThrow('enough')
    for await (const { key } of inner.list()) expect.fail(`${key} was left behind`)
  })
})

function failure(code: StoreError['code'], key: string): StoreError {
  return new StoreError(code, `${code}: put of ${key}.`, { op: 'put', key })
}
