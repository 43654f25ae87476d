import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Checkpointer, SourceDatabase, type WalChange } from '../../../src/core/db/index.ts'
import { CheckpointPolicy } from '../../../src/core/engine/capture/checkpoint-policy.ts'

const LIMIT = 8 << 20
/** More than an application should have to copy. */
const LARGE = 66 << 20

/** While it copies, an application goes on writing: no step without the lock is ever the last. */
class BusyCheckpointer extends Checkpointer {
  readonly lockedWith: number[] = []
  tail = () => 0
  write = () => {}
  /** Called when the read mark has been moved, and nothing has been copied. */
  before = () => {}
  #isLocked = false

  override async passive(path: string, timeoutMs: number): Promise<boolean> {
    this.before()
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

describe('a writer that leaves more than can be captured in a moment, however often it is tried', () => {
  beforeEach(() => {
    checkpointer.write = () => app.exec('INSERT INTO t VALUES (randomblob(2000000))')
  })

  it('is not kept out while the WAL is below its limit', async () => {
    policy = new CheckpointPolicy(source, checkpointer, 4 * LIMIT)
    await fill(2 * LIMIT)
    checkpointer.write = () => app.exec('INSERT INTO t VALUES (randomblob(1500000))')
    expect(await policy.run(0, keep, 4 * LIMIT)).toMatchObject({ guarded: true, complete: false })
    expect(checkpointer.lockedWith).toEqual([])
    expect(policy.isOutpaced).toBe(false)
  })

  it('is kept out above it: otherwise the WAL would grow for as long as it writes', async () => {
    await fill(LIMIT / 2)
    expect(await policy.run(0, keep, 4 * LIMIT)).toMatchObject({ guarded: true, complete: true })
    expect(checkpointer.lockedWith).toHaveLength(1)
    expect(source.capture.walBytes()).toBeGreaterThan(LIMIT)
  })

  it('is kept out when an eighth of the WAL or less is left', async () => {
    checkpointer.write = () => app.exec('INSERT INTO t VALUES (randomblob(3000000))')
    await fill(LIMIT)
    expect(await policy.run(0, keep, 4 * LIMIT)).toMatchObject({ guarded: true, complete: true })
    expect(checkpointer.lockedWith).toHaveLength(1)
    expect(source.capture.walBytes()).toBeGreaterThan(8 * 3_000_000)
  })

  it('is reported if it leaves more than may be kept', async () => {
    await fill(LIMIT / 2)
    expect(await policy.run(0, keep, 1_000_000)).toMatchObject({ complete: false })
    expect(policy.isOutpaced).toBe(true)
    checkpointer.write = () => {}
    await fill(0)
    expect(await policy.run(10_000, keep, LIMIT)).toMatchObject({ complete: true })
    expect(policy.isOutpaced).toBe(false)
  })
})

describe('an application that commits before the copying has begun', () => {
  let other: DatabaseSync
  let outcomes: string[]
  beforeEach(() => {
    other = new DatabaseSync(join(folder, 'app.db'), { timeout: 0 })
    outcomes = []
    checkpointer.before = () => outcomes.push(commit())
  })
  afterEach(() => other.close())

  function commit(): string {
    try {
      other.exec('INSERT INTO t VALUES (1)')
      return 'committed'
    } catch (error) {
      return (error as Error).message
    }
  }

  it('is kept out if there is much to copy: its own checkpoint would copy all of it', async () => {
    await fill(LARGE)
    const copied = source.guard.state().backfilled
    expect(await policy.run(0, keep, LIMIT)).toMatchObject({ guarded: true, complete: true })
    expect(outcomes[0]).toBe('database is locked')
    expect(source.guard.state().backfilled).toBeGreaterThan(copied)
    expect(commit()).toBe('committed')
  })

  it('is not kept out otherwise', async () => {
    await fill(LIMIT / 2)
    await policy.run(0, keep, LIMIT)
    expect(outcomes[0]).toBe('committed')
  })

  it('is not kept out by a checkpoint that fails', async () => {
    await fill(LARGE)
    checkpointer.passive = async () => {
      outcomes.push(commit())
      throw new Error('the thread has ended')
    }
    await expect(policy.run(0, keep, LIMIT)).rejects.toThrow('the thread has ended')
    expect(outcomes).toEqual(['database is locked'])
    expect(commit()).toBe('committed')
  })

  it('does not restart the log before its last commit is captured, even if all of it is copied', async () => {
    await fill(LARGE)
    app.exec('INSERT INTO t VALUES (2)')
    checkpointer.passive = async () => {
      other.exec('PRAGMA wal_checkpoint(PASSIVE)')
      return true
    }
    checkpointer.lock = async () => {
      outcomes.push(commit())
      return false
    }
    await policy.run(0, keep, LIMIT)
    expect(outcomes).toEqual(['committed'])
    await expect(source.capture.scan()).resolves.toMatchObject({ pages: expect.any(Map) })
  })

  it('is not waited for: without the lock, the copying begins all the same', async () => {
    await fill(LARGE)
    other.exec('BEGIN IMMEDIATE')
    checkpointer.before = () => {}
    const copied = source.guard.state().backfilled
    await policy.run(0, keep, LIMIT)
    expect(source.guard.state().backfilled).toBeGreaterThan(copied)
    other.exec('ROLLBACK')
    expect(commit()).toBe('committed')
  })
})
