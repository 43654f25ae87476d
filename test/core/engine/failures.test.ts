import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { Backoff } from '../../../src/core/async/backoff.ts'
import { Wakeup } from '../../../src/core/async/wakeup.ts'
import { DatabaseError } from '../../../src/core/db/index.ts'
import { failureEvent } from '../../../src/core/engine/events.ts'
import {
  type Measurements,
  ReplicationStatus,
} from '../../../src/core/engine/replication-status.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from '../../support/hooked-store.ts'
import { ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'
import { until } from '../../support/until.ts'

const away = () => new StoreError('Unavailable', 'the store is away', { op: 'put' })

it('a failed upload is in the status, since its first try, until an upload succeeds', async () => {
  const store = new SwitchedStore(new MemoryObjectStore())
  await using rig = new ReplicaRig(store)
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.start()
  expect(rig.engine.status()[0]).toMatchObject({ lastError: undefined, errorSince: undefined })
  store.failure = away()
  db.exec('INSERT INTO t VALUES (1)')
  await until(() => rig.count('store-error') > 0)
  const { lastError, errorSince } = rig.engine.status()[0]!
  expect(lastError).toBe('the store is away')
  await until(() => rig.count('store-error') > 2)
  expect(rig.engine.status()[0]).toMatchObject({ lastError, errorSince })
  store.failure = undefined
  await rig.synced()
  expect(rig.engine.status()[0]).toMatchObject({ lastError: undefined, errorSince: undefined })
  db.close()
})

it('a failed snapshot is in the status until one succeeds, whatever is uploaded in the meantime', async () => {
  const hooks: StoreHooks = {}
  await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.start({ snapshots: { intervalMs: 0, afterPages: 1 } })
  let failed = 0
  hooks.put = async (key, go) => {
    if (!/(^|\/)(0009|9)\//.test(key)) return await go()
    failed += 1
    throw new StoreError('NoSpace', 'the disk is full', { op: 'put' })
  }
  db.exec('INSERT INTO t VALUES (1)')
  await until(() => failed > 0 && rig.count('store-error') > 0)
  db.exec('INSERT INTO t VALUES (2)')
  await rig.synced()
  expect(rig.engine.status()[0]).toMatchObject({
    lastError: 'the disk is full',
    errorSince: expect.any(Date),
  })
  hooks.put = undefined
  await until(() => rig.count('snapshot') > 0)
  expect(rig.engine.status()[0]!.lastError).toBeUndefined()
  db.close()
})

it('a store that is unavailable at the start is in the status', async () => {
  const store = new SwitchedStore(new MemoryObjectStore())
  await using rig = new ReplicaRig(store)
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  store.failure = away()
  await rig.start()
  expect(rig.engine.status()[0]).toMatchObject({
    state: 'starting',
    lastError: 'the store is away',
  })
  store.failure = undefined
  await rig.synced()
  expect(rig.engine.status()[0]!.lastError).toBeUndefined()
  db.close()
})

it('a failed merge is in the status until upkeep continues', async () => {
  const hooks: StoreHooks = {}
  await using rig = new ReplicaRig(hookedStore(new MemoryObjectStore(), hooks))
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  hooks.put = async (key, go) => {
    if (/(^|\/)(0001|1)\//.test(key)) throw away()
    return await go()
  }
  await rig.start({ levels: [100] })
  for (const value of [1, 2, 3]) {
    db.exec(`INSERT INTO t VALUES (${value})`)
    await rig.synced()
  }
  await until(() => rig.count('maintenance-error') > 0)
  expect(rig.engine.status()[0]).toMatchObject({ pendingFiles: 0, lastError: 'the store is away' })
  hooks.put = undefined
  await until(() => rig.count('maintenance-recovered') > 0)
  expect(rig.engine.status()[0]!.lastError).toBeUndefined()
  db.close()
})

it('a database that fails is left alone between attempts, even if upkeep is due', async () => {
  await using rig = new ReplicaRig()
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.start({ verifyIntervalMs: 30, pollIntervalMs: 20 })
  await rig.synced()
  db.close()
  writeFileSync(`${rig.path}.other`, 'not a database')
  renameSync(`${rig.path}.other`, rig.path)
  await until(() => rig.count('database-error') > 1)
  const sleep = vi.spyOn(Wakeup.prototype, 'sleep')
  const verified = rig.count('verified')
  await until(() => rig.count('database-error') > 4)
  expect(rig.count('verified'), 'inconclusive: upkeep was never due').toBeGreaterThan(verified)
  // One for each poll interval, and a few at the end of each pause.
  expect(sleep.mock.calls.length).toBeLessThan(500)
  sleep.mockRestore()
})

it('a database that has gone is waited for since then; one that was never there is not missing', async () => {
  await using rig = new ReplicaRig()
  writeFileSync(rig.path, '')
  await rig.start()
  expect(rig.engine.status()[0]).toMatchObject({ state: 'waiting', waitingSince: undefined })
  const db = rig.open()
  db.exec('CREATE TABLE t (a)')
  await rig.synced()
  db.close()
  rmSync(rig.path)
  await until(() => rig.engine.status()[0]!.state === 'waiting')
  expect(rig.engine.status()[0]!.waitingSince).toBeInstanceOf(Date)
  const again = rig.open()
  again.exec('CREATE TABLE u (a)')
  await rig.synced()
  expect(rig.engine.status()[0]).toMatchObject({ state: 'replicating', waitingSince: undefined })
  again.close()
})

it('an error is of the store or of the database, whatever was being done', () => {
  const damaged = new DatabaseError('Damaged', '/app.db', 'a page is missing')
  expect(failureEvent('snapshot', damaged, 1)).toMatchObject({ type: 'database-error' })
  expect(failureEvent('replication', away(), 1)).toMatchObject({ type: 'store-error' })
  // Of another copy of the package, as a plugin brings it: it has the brand, and no name in common.
  const foreign = Object.defineProperty({}, Symbol.for('walsync/StoreError'), { value: true })
  expect(failureEvent('upload', foreign, 1)).toMatchObject({ type: 'store-error' })
})

const MEASURED: Measurements = {
  path: '/app.db',
  isOpen: true,
  pendingFiles: 0,
  walBytes: 0,
  spoolBytes: 0,
  lagMs: 0,
  replicaFiles: 0,
  replicaBytes: 0,
  restorable: undefined,
}

it('a successful upload ends only an upload error, and the worst of several errors is shown', () => {
  const status = new ReplicationStatus('app', vi.fn())
  const tell = (during: 'upload' | 'snapshot', text: string) =>
    status.record({ database: 'app', ...failureEvent(during, new Error(text), 1) })
  tell('snapshot', 'no snapshot')
  tell('upload', 'no upload')
  expect(status.report(MEASURED).lastError).toBe('no upload')
  status.record({ type: 'store-recovered', database: 'app', during: 'upload', outageMs: 1 })
  expect(status.report(MEASURED).lastError).toBe('no snapshot')
  status.record({ type: 'snapshot', database: 'app', txid: 1n as never, bytes: 1, pages: 1, ms: 1 })
  expect(status.report(MEASURED).lastError).toBeUndefined()
})

it('pauses stay short for minutes, then grow; those of a crowd are longer, and so are costly ones', () => {
  const backoff = new Backoff()
  let waited = 0
  while (waited < 4 * 60_000) {
    const pause = backoff.next()
    expect(pause).toBeLessThanOrEqual(1500)
    waited += pause
  }
  const later = Array.from({ length: 200 }, () => backoff.next())
  expect(Math.max(...later)).toBeGreaterThan(15_000)
  expect(Math.max(...later)).toBeLessThanOrEqual(30_000)
  backoff.reset()
  expect(backoff.next()).toBeLessThanOrEqual(250)
  const many = [new Backoff({ crowd: () => 1000 }), new Backoff({ patient: true })]
  for (const one of many) {
    const pauses = Array.from({ length: 20 }, () => one.next())
    expect(Math.max(...pauses)).toBeGreaterThan(7000)
  }
})
