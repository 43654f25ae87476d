import { afterEach, describe, expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { Deadline } from '../../../src/core/async/deadline.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

const HOUR = 3_600_000
const realNow = Date.now

function setBack(ms: number): void {
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() - ms)
}

describe('a clock that is set back by an hour', () => {
  it('does not stop replication for an hour', async () => {
    await using rig = new ReplicaRig()
    const app = rig.open()
    app.exec('CREATE TABLE t (a)')
    await rig.start({ syncIntervalMs: 500 })
    app.exec('INSERT INTO t VALUES (1)')
    await vi.waitFor(() => expect(rig.count('synced')).toBe(1), 5000)
    setBack(HOUR)
    app.exec('INSERT INTO t VALUES (2)')
    await vi.waitFor(() => expect(rig.count('synced')).toBe(2), 5000)
    app.close()
  })

  it('does not put the next try at a store that was away an hour off', async () => {
    const store = new SwitchedStore(new MemoryObjectStore())
    await using rig = new ReplicaRig(store)
    const app = rig.open()
    app.exec('CREATE TABLE t (a)')
    await rig.start()
    store.failure = new StoreError('Unavailable', 'away', { op: 'put' })
    app.exec('INSERT INTO t VALUES (1)')
    await vi.waitFor(() => expect(rig.count('store-error')).toBeGreaterThan(1), 5000)
    setBack(HOUR)
    store.failure = undefined
    await vi.waitFor(() => expect(rig.count('synced')).toBe(1), 5000)
    app.close()
  })
})

describe('Deadline', () => {
  it('is over when its time has come, or when the clock is before the moment at which it was set', () => {
    const deadline = new Deadline()
    expect(deadline.left(5)).toBe(0)
    deadline.set(1000, 50)
    expect([1000, 1020, 1050, 2000, 999].map((now) => deadline.left(now))).toEqual([
      50, 30, 0, 0, 0,
    ])
    deadline.clear()
    expect(deadline.left(1000)).toBe(0)
  })
})
