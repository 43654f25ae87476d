import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Checkpointer, SourceDatabase, type WalChange } from '../../../src/core/db/index.ts'
import { CheckpointPolicy } from '../../../src/core/engine/capture/checkpoint-policy.ts'

const LIMIT = 8 << 20

/** While it copies, an application goes on writing: no step without the lock is ever the last. */
class BusyCheckpointer extends Checkpointer {
  readonly lockedWith: number[] = []
  tail = () => 0
  write = () => {}
  #isLocked = false

  override async passive(path: string, timeoutMs: number): Promise<boolean> {
    const done = await super.passive(path, timeoutMs)
    if (!this.#isLocked) this.write()
    return done
  }

  override async lock(path: string, timeoutMs: number): Promise<boolean> {
    this.lockedWith.push(this.tail())
    this.#isLocked = await super.lock(path, timeoutMs)
    return this.#isLocked
  }

  override async unlock(path: string): Promise<void> {
    this.#isLocked = false
    await super.unlock(path)
  }
}

let folder: string
let app: DatabaseSync
let source: SourceDatabase
let checkpointer: BusyCheckpointer
let policy: CheckpointPolicy

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-policy-'))
  const path = join(folder, 'app.db')
  app = new DatabaseSync(path, { timeout: 5000 })
  app.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)')
  source = SourceDatabase.open(path)!
  await source.capture.pinFullView()
  checkpointer = new BusyCheckpointer()
  policy = new CheckpointPolicy(source, checkpointer, LIMIT)
  checkpointer.tail = () => policy.tailBytes()
})
afterEach(async () => {
  await checkpointer.close()
  await source.close()
  app.close()
  rmSync(folder, { recursive: true })
})

const keep = (change: WalChange) => source.capture.advance(change)

/** Grows the WAL to a size, all of it captured. */
async function fill(bytes: number): Promise<void> {
  while (source.capture.walBytes() < bytes) app.exec('INSERT INTO t VALUES (randomblob(50000))')
  for (let change = await source.capture.scan(); change; change = await source.capture.scan()) {
    keep(change)
  }
}

it('takes no lock below half of the limit, and does not retry immediately', async () => {
  checkpointer.write = () => app.exec('INSERT INTO t VALUES (1)')
  await fill(LIMIT / 4)
  const { walBytes } = await policy.run(0, keep, LIMIT)
  expect(walBytes).toBeLessThan(LIMIT / 2)
  expect(checkpointer.lockedWith).toEqual([])
  expect(policy.due(1, walBytes)).toBe(false)
  expect(policy.isPressing(1, walBytes)).toBe(false)
  expect(policy.due(10_000, walBytes)).toBe(true)
  // What waits for the lock-free way does not delay the other one.
  expect(policy.due(1, LIMIT / 2)).toBe(true)
})

it('above, takes the lock for what was written since the last look only', async () => {
  checkpointer.write = () => app.exec('INSERT INTO t VALUES (randomblob(500000))')
  await fill(LIMIT / 2)
  const kept: WalChange[] = []
  const outcome = await policy.run(
    0,
    (change) => {
      kept.push(change)
      keep(change)
    },
    LIMIT,
  )
  expect(outcome).toMatchObject({ guarded: true, complete: true })
  // It was written while the bulk was copied, and taken before the lock.
  expect(kept).toHaveLength(1)
  expect(checkpointer.lockedWith).toEqual([0])
})

it('flushes what was copied before it takes the lock', async () => {
  const steps: string[] = []
  const flush = source.file.flush.bind(source.file)
  source.file.flush = async () => {
    steps.push('flush')
    await flush()
  }
  checkpointer.write = () => {
    steps.push('commit')
    app.exec('INSERT INTO t VALUES (randomblob(50000))')
  }
  checkpointer.tail = () => steps.push('lock')
  await fill(LIMIT / 2)
  expect(await policy.run(0, keep, LIMIT)).toMatchObject({ guarded: true, complete: true })
  expect(steps).toEqual(['commit', 'flush', 'lock'])
})

it('takes no lock while another connection is copying', async () => {
  await fill(LIMIT / 2)
  checkpointer.passive = async () => false
  expect(await policy.run(0, keep, LIMIT)).toMatchObject({ guarded: true, complete: false })
  expect(checkpointer.lockedWith).toEqual([])
})

it('captures a short tail under the lock without a separate file for it', async () => {
  checkpointer.write = () => app.exec('INSERT INTO t VALUES (randomblob(50000))')
  await fill(LIMIT / 2)
  expect(await policy.run(0, keep, LIMIT)).toMatchObject({ guarded: true, complete: true })
  expect(checkpointer.lockedWith).toEqual([expect.any(Number)])
  expect(checkpointer.lockedWith[0]).toBeGreaterThan(50_000)
})
