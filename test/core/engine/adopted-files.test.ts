import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { takeSnapshot } from '../../../src/core/engine/snapshots/take-snapshot.ts'
import { decodeLtx, encodeLtx, txid } from '../../../src/core/ltx/index.ts'
import { ltxKey } from '../../../src/core/replica/replica-layout.ts'
import {
  type ListOptions,
  type ObjectInfo,
  type PutBody,
  type PutOptions,
  type PutResult,
  StoreError,
} from '../../../src/core/store/index.ts'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'
import { SwitchedStore } from '../../support/switched-store.ts'
import { until } from '../../support/until.ts'

it('a file that another process has uploaded is removed from the spool, so that no later start puts it over newer pages', async () => {
  const inner = new MemoryObjectStore()
  const store = new SwitchedStore(inner)
  await using rig = new ReplicaRig(store)
  const spoolDir = join(rig.folder, 'spool')
  const options = { spoolDir, maxWalBytes: 400_000 }
  const app = rig.open()
  app.exec('CREATE TABLE t (a)')
  await rig.start(options)
  await rig.synced()
  store.failure = new StoreError('Unavailable', 'away', { op: 'put' })
  for (let i = 0; rig.count('spooling') < 2; i++) {
    app.exec(`INSERT INTO t VALUES (randomblob(${i < 400 ? 3000 : 1}))`)
    await delay(5)
    if (i > 4000) throw new Error('nothing was spooled')
  }
  expect(existsSync(spoolDir)).toBe(true)

  await takeSnapshot('app', rig.path, inner, 'ltx', { patienceMs: 0 })
  store.failure = undefined
  const txid = await rig.engine.sync()
  expect(rig.count('adopted')).toBeGreaterThan(0)
  expect(existsSync(spoolDir)).toBe(false)
  const restored = await rig.restore({ kind: 'txid', txid: txid[0]! })
  expect(contents(restored) === contents(app)).toBe(true)

  app.exec("INSERT INTO t VALUES ('newer')")
  await rig.synced()
  await rig.kill()
  await rig.start(options)
  await rig.synced()
  expect(rig.count('spool-recovered')).toBe(0)
  const latest = await rig.restore()
  expect(contents(latest) === contents(app)).toBe(true)
  for (const db of [restored, latest, app]) db.close()
}, 60_000)

it('files that another process has uploaded are part of what the status and retention know', async () => {
  const inner = new MemoryObjectStore()
  const store = new SwitchedStore(inner)
  await using rig = new ReplicaRig(store)
  using app = rig.open()
  app.exec('CREATE TABLE t (a)')
  await rig.start()
  await rig.synced()
  store.failure = new StoreError('Unavailable', 'away', { op: 'put' })
  app.exec('INSERT INTO t VALUES (1)')
  await takeSnapshot('app', rig.path, inner, 'ltx', { patienceMs: 0 })
  store.failure = undefined
  await rig.engine.sync()
  expect(rig.count('adopted')).toBeGreaterThan(0)
  app.exec('INSERT INTO t VALUES (2)')
  const [txid] = await rig.engine.sync()
  expect(rig.engine.status()[0]?.restorable?.to.txid).toBe(txid)
}, 60_000)

/** Another process stores the same change first, and listings take as long as a test wants. */
class ContendedStore extends MemoryObjectStore {
  contended = ''
  slow: Promise<void> | undefined
  listings = 0
  isDown = false

  override async put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult> {
    if (this.isDown && key !== this.contended) throw away()
    if (key !== this.contended) return await super.put(key, body, options)
    this.contended = ''
    const chunks: Uint8Array[] = []
    for await (const chunk of body instanceof Uint8Array ? [body] : body.open()) {
      chunks.push(chunk.slice())
    }
    const { header, pages } = decodeLtx(Buffer.concat(chunks))
    await super.put(key, encodeLtx({ ...header, nodeId: 77n }, pages), options)
    return await this.put(key, Buffer.concat(chunks), options)
  }

  override async *list(options?: ListOptions): AsyncIterable<ObjectInfo> {
    this.listings++
    const objects: ObjectInfo[] = []
    for await (const info of super.list(options)) objects.push(info)
    await this.slow
    yield* objects
  }
}

function away(): StoreError {
  return new StoreError('Unavailable', 'away', { op: 'put' })
}

/** Starts with a log of which little may wait, and an application that never checkpoints it. */
async function spooling(
  rig: ReplicaRig,
): Promise<{ readonly store: ContendedStore; readonly app: DatabaseSync }> {
  const app = rig.open('PRAGMA wal_autocheckpoint = 0;')
  onTestFinished(() => app.close())
  app.exec('CREATE TABLE t (a)')
  await rig.start({ spoolDir: join(rig.folder, 'spool'), maxWalBytes: 200_000 })
  await rig.synced()
  return { store: rig.store as ContendedStore, app }
}

/** Names a run of the log. */
function saltsOf(path: string): string {
  return readFileSync(`${path}-wal`).subarray(16, 24).toString('hex')
}

it('a file of another command is followed by a full copy if the log was restarted since', async () => {
  await using rig = new ReplicaRig(new ContendedStore())
  const { store, app } = await spooling(rig)
  store.contended = ltxKey('ltx', 0, txid(2), txid(2))
  store.isDown = true
  const salts = saltsOf(rig.path)
  await until(() => {
    app.exec('INSERT INTO t VALUES (randomblob(3000))')
    return saltsOf(rig.path) !== salts
  })
  store.isDown = false
  const [last] = await rig.engine.sync()
  expect(rig.count('fenced')).toBe(0)
  expect(rig.count('base')).toBe(2)
  expect(last).toBe(3n)
  using restored = await rig.restore()
  expect(contents(restored)).toBe(contents(app))
  app.exec('INSERT INTO t VALUES (1)')
  expect(await rig.engine.sync()).toEqual([4n])
}, 60_000)

it('a log that grows while a file is adopted is spooled only afterwards', async () => {
  await using rig = new ReplicaRig(new ContendedStore())
  const { store, app } = await spooling(rig)
  const { promise, resolve } = Promise.withResolvers<void>()
  const before = store.listings
  store.slow = promise
  store.contended = ltxKey('ltx', 0, txid(2), txid(2))
  app.exec('INSERT INTO t VALUES (1)')
  await until(() => store.listings > before)
  for (let i = 0; i < 100; i++) app.exec('INSERT INTO t VALUES (randomblob(3000))')
  // An upload counts as stuck after a second.
  await delay(1500)
  expect(rig.count('spooling')).toBe(0)
  resolve()
  const [last] = await rig.engine.sync()
  expect(rig.count('adopted')).toBe(1)
  expect(last).toBeGreaterThan(2n)
  using restored = await rig.restore()
  expect(contents(restored)).toBe(contents(app))
}, 60_000)

it('a file that is merged while a file is adopted stays known', async () => {
  const store = new ContendedStore()
  await using rig = new ReplicaRig(store)
  using app = rig.open()
  app.exec('CREATE TABLE t (a)')
  await rig.start({ levels: [300, 3_600_000] })
  for (let i = 0; i < 3; i++) {
    app.exec('INSERT INTO t VALUES (1)')
    await rig.engine.sync()
  }
  const { promise, resolve } = Promise.withResolvers<void>()
  const before = [store.listings, rig.count('compacted')] as const
  store.slow = promise
  const [captured] = await rig.engine.sync()
  const next = txid(captured! + 1n)
  store.contended = ltxKey('ltx', 0, next, next)
  app.exec('INSERT INTO t VALUES (2)')
  await until(() => store.listings > before[0])
  await until(() => rig.count('compacted') > before[1])
  resolve()
  await rig.engine.sync()
  expect(rig.count('adopted')).toBe(1)
  const files = await rig.files()
  expect(rig.engine.status()[0]?.replicaFiles).toBe(files.length)
}, 60_000)
