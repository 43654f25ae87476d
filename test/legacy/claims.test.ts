import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import { restoreLegacy } from '../../src/legacy/index.ts'
import { digestAt, OldSource } from './old-source.ts'
import { OldWriter, WriterClock } from './old-writer.ts'

let folder: string
let source: OldSource
let clock: WriterClock
let writer: OldWriter

/** @param rows that the database has before it is watched */
function begin(rows: number): void {
  source = new OldSource(join(folder, 'app.db'), rows)
  clock = new WriterClock()
  writer = new OldWriter(source.path, clock)
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-claims-'))
})
afterEach(() => {
  source.close()
  rmSync(folder, { recursive: true })
})

/** Commits that are uploaded at once, a tenth of a second apart; each adds a row. */
async function work(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    clock.tick(100)
    source.commit(0.1, i)
    await writer.sync()
  }
}

/** A snapshot that lies between two uploads for certain. */
async function snapshot(meanwhile?: () => void): Promise<void> {
  clock.tick(2000)
  await writer.snapshot(meanwhile)
  clock.tick(2000)
}

async function segments(store: MemoryObjectStore = writer.store): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list({ prefix: 'app/wal/' })) keys.push(key)
  return keys
}

async function change(key: string, edit: (bytes: Buffer) => void): Promise<void> {
  const { info, body } = await writer.store.get(key)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  edit(bytes)
  await writer.store.put(key, bytes, { createdAt: info.createdAt })
}

async function restore(
  target: RestoreTarget = { kind: 'latest' },
  check: 'full' | 'none' = 'none',
) {
  const output = join(folder, 'out.db')
  rmSync(output, { force: true })
  const options = { integrityCheck: check }
  const { plan, rejected } = await restoreLegacy(writer.store, 'app', target, output, options)
  const digest = digestAt(output)
  return {
    grade: plan.grade,
    codes: plan.reasons.map(({ code }) => code),
    base: plan.base?.key,
    /** How many states before the last one; `undefined` if the database never held this. */
    behind:
      digest === undefined || !source.states.includes(digest)
        ? undefined
        : source.states.length - 1 - source.states.lastIndexOf(digest),
    plan,
    rejected,
  }
}

describe('a snapshot of a database that was there before', () => {
  it('with the log through it, and one more snapshot with the same pages: complete', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(1)
    await snapshot()
    await work(4)
    expect(await restore()).toMatchObject({ grade: 'complete', codes: [], behind: 0 })
  })

  it('that nothing else corroborates: damage in it would go unnoticed', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(4)
    expect(await restore()).toMatchObject({
      grade: 'unverifiable',
      codes: ['unvouched'],
      behind: 0,
    })
  })

  it('of which one byte changed in a row: not complete, though SQLite finds nothing', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(1)
    await snapshot()
    await work(4)
    const { base, plan } = await restore()
    const seen = new Set(
      plan.runs.flatMap(({ run }) => run.spans.flatMap(({ chain }) => [...chain.pgnos])),
    )
    await change(`app/${base}`, (bytes) => {
      for (let end = 3 * 512; end <= bytes.length; end += 512) {
        // The last byte of a leaf of the table that no frame has: a zero at the end of a row's blob.
        if (seen.has(end / 512) || bytes[end - 512] !== 13 || bytes[end - 1] !== 0) continue
        bytes[end - 1] = 1
        return
      }
      throw new Error('There is no such page.')
    })
    const changed = await restore({ kind: 'latest' }, 'full')
    expect(changed).toMatchObject({
      grade: 'unverifiable',
      codes: ['unvouched'],
      behind: undefined,
    })
    expect(changed.rejected).toEqual([])
  })

  it('with nothing of the log from before it: a whole log may have come and gone unseen', async () => {
    begin(40)
    await snapshot()
    source.commit(0.5, 1)
    // The last close empties the log into the database file and deletes it.
    source.reopen()
    await work(6)
    expect(await restore()).toMatchObject({
      grade: 'unverifiable',
      codes: ['not-anchored'],
      behind: undefined,
    })
  })

  it('and too few uploads after it to show that it is not newer', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(2)
    expect(await restore()).toMatchObject({
      grade: 'unverifiable',
      codes: ['not-outlived'],
      behind: 0,
    })
  })

  it('torn by a checkpoint while it was read: the replay heals it', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(3)
    const release = source.hold()
    await snapshot(() => {
      source.commit(0.95, 0)
      source.checkpoint('PASSIVE')
    })
    await work(5)
    release()
    const [, torn] = await snapshots()
    const { base, behind, grade } = await restore()
    expect({ base, behind, grade }).toEqual({ base: torn, behind: 0, grade: 'complete' })
  })
})

async function snapshots(): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of writer.store.list({ prefix: 'app/snapshots/' })) {
    keys.push(key.slice('app/'.length))
  }
  return keys
}

describe('a log that was restarted', () => {
  it('with a commit just before it that was never stored: never called exact', async () => {
    begin(40)
    await work(5)
    await snapshot()
    source.commit(0.5, 0)
    source.checkpoint('TRUNCATE')
    await work(4)
    const { grade, codes } = await restore()
    expect({ grade, codes }).toEqual({
      grade: 'unverifiable',
      codes: expect.arrayContaining(['restarted']),
    })
  })

  it('is exact again from the next snapshot on', async () => {
    begin(40)
    await work(5)
    await snapshot()
    source.commit(0.95, 0)
    source.checkpoint('TRUNCATE')
    await work(2)
    await snapshot()
    await work(1)
    await snapshot()
    await work(3)
    expect(await restore()).toMatchObject({ grade: 'complete', behind: 0 })
  })

  it('in place, unseen: the newest snapshot is taken, and is called unverifiable', async () => {
    begin(40)
    await work(4)
    await snapshot()
    await work(4)
    source.checkpoint('RESTART')
    source.commit(0.5, 6)
    await writer.sync()
    source.checkpoint('PASSIVE')
    await snapshot()
    const latest = await restore()
    expect(latest).toMatchObject({ grade: 'unverifiable', codes: ['no-log'], behind: 0 })
    expect(latest.base).toBe((await snapshots()).at(-1))
    // That a second one is like it says nothing about where in the log they belong.
    await snapshot()
    expect(await restore()).toMatchObject({ grade: 'unverifiable', codes: ['no-log'], behind: 0 })
  })

  it('never, with a snapshot at the end that it has not reached: the log is taken, not the snapshot', async () => {
    begin(0)
    await work(3)
    await snapshot()
    const { behind, codes, base } = await restore()
    expect({ behind, codes, base }).toEqual({ behind: 0, codes: [], base: undefined })
  })

  it('or was not: a snapshot may be newer than the only upload after it', async () => {
    begin(40)
    await snapshot(() => {
      source.commit(0.5, 3)
      source.checkpoint('PASSIVE')
    })
    await writer.sync()
    const { behind, codes } = await restore()
    expect(behind).toBe(0)
    expect(codes).toContain('not-outlived')
  })

  it('in place, unseen, before a snapshot and an upload of what was left of it: the snapshot is newer', async () => {
    begin(0)
    await work(4)
    source.commit(0.1, 9)
    source.checkpoint('RESTART')
    source.commit(0.1, 10)
    source.checkpoint('PASSIVE')
    await snapshot()
    await writer.sync()
    const { grade, codes, behind } = await restore()
    expect({ grade, behind }).toEqual({ grade: 'unverifiable', behind: 1 })
    expect(codes).toContain('not-outlived')
  })

  it('under load: a log that ends there has most likely gone on', async () => {
    begin(0)
    for (let i = 0; i < 7; i++) {
      source.commit(0.1, i)
      await work(1)
    }
    expect(await restore()).toMatchObject({ grade: 'truncated', codes: ['burst'], behind: 0 })
    await work(6)
    expect(await restore()).toMatchObject({ grade: 'complete', codes: [], behind: 0 })
  })

  it('in place while a snapshot was read: pages of frames that belong nowhere prove nothing', async () => {
    begin(40)
    await snapshot()
    await work(1)
    await snapshot(() => {
      source.commit(0.5, 3)
      source.checkpoint('RESTART')
      source.commit(0.5, 4)
      source.checkpoint('PASSIVE')
    })
    source.commit(0.1, 1)
    await writer.sync()
    await work(3)
    const { grade } = await restore()
    expect(grade).toBe('unverifiable')
  })

  it('in place while a snapshot was read: that its new pages were stored somewhere does not place them', async () => {
    begin(40)
    await snapshot()
    await work(4)
    await snapshot(() => {
      source.commit(0.5, 3)
      source.checkpoint('RESTART')
      source.commit(0.5, 4)
      source.checkpoint('PASSIVE')
    })
    // The new log is longer than the old position: its end is stored, its beginning never.
    await writer.sync()
    const { grade, behind } = await restore()
    expect({ grade, behind }).toEqual({ grade: 'unverifiable', behind: undefined })
  })

  it('in place, unseen, with no snapshot since: complete up to the last frame, and no further', async () => {
    begin(0)
    await work(8)
    source.checkpoint('RESTART')
    source.commit(0.1, 6)
    await writer.sync()
    const { grade, behind, plan } = await restore()
    expect({ grade, behind }).toEqual({ grade: 'complete', behind: 1 })
    expect(plan.upTo.getTime()).toBeLessThan(clock.now.getTime())
  })

  it('with one whole lifetime that was never stored: the lifetimes on either side are not joined', async () => {
    begin(0)
    await work(4)
    source.checkpoint('TRUNCATE')
    source.commit(0.95, 0)
    source.checkpoint('TRUNCATE')
    await work(3)
    const { codes, grade, behind } = await restore()
    expect({ grade, codes }).toEqual({ grade: 'truncated', codes: ['hole'] })
    expect(behind).toBe(4)
  })

  it('with a hole before the restart: not joined either', async () => {
    begin(0)
    await work(6)
    source.checkpoint('TRUNCATE')
    await work(1)
    await writer.store.delete((await segments())[3] as string)
    const { codes, grade, behind } = await restore()
    expect({ grade, codes }).toEqual({ grade: 'truncated', codes: ['hole'] })
    expect(behind).toBe(4)
  })
})

describe('uploads', () => {
  it('that were repeated after a lost state: of two ways the longer one, even if a first upload is gone', async () => {
    begin(0)
    await work(5)
    writer.loseState()
    await work(8)
    expect(await restore()).toMatchObject({ grade: 'complete', behind: 0 })
    await writer.store.delete((await segments())[2] as string)
    expect(await restore()).toMatchObject({ grade: 'complete', behind: 0 })
  })

  it('whose clock was set back: checksums order them', async () => {
    begin(0)
    await work(3)
    clock.tick(-60_000)
    await work(3)
    expect(await restore()).toMatchObject({ grade: 'complete', behind: 0 })
  })

  it('after a rollback are stored again if the state is lost, and then the rolled-back frames are out', async () => {
    begin(0)
    await work(3)
    source.beginLarge()
    await writer.sync()
    source.end(false)
    await work(3)
    expect(await restore()).toMatchObject({ grade: 'truncated', codes: ['uncommitted'], behind: 3 })
    writer.loseState()
    await work(1)
    const { behind, codes } = await restore()
    // What is left of the rolled-back frames still lies behind them.
    expect({ behind, codes }).toEqual({ behind: 0, codes: ['hole'] })
  })

  it('after a rollback of changes to pages that are in use: nothing of them is replayed', async () => {
    begin(40)
    await work(3)
    await snapshot()
    source.beginUpdate()
    await writer.sync()
    source.end(false)
    writer.loseState()
    await work(1)
    expect((await restore()).behind).toBe(0)
  })

  it('of a segment that fits nowhere: nothing among it is called exact', async () => {
    begin(0)
    await work(3)
    const uploadedAt = clock
      .tick(50)
      .toISOString()
      .replaceAll(/[-:.TZ]/g, '')
    await writer.store.put(`app/wal/00000000-${uploadedAt}.wal`, new Uint8Array(2 * 536).fill(7))
    await work(3)
    const { grade, codes, behind } = await restore()
    expect({ grade, codes, behind }).toEqual({
      grade: 'unverifiable',
      codes: ['unaccounted'],
      behind: 0,
    })
  })

  it('of two histories, as after a power failure: the later is used, and not called exact', async () => {
    begin(0)
    await work(3)
    const copy = join(folder, 'copy.db')
    for (const suffix of ['', '-wal']) copyFileSync(source.path + suffix, copy + suffix)
    await work(1)
    using other = new DatabaseSync(copy)
    other.exec("INSERT INTO t (x) VALUES ('another')")
    await new OldWriter(copy, clock, writer.store).sync()
    const { grade, codes } = await restore()
    expect(grade).toBe('unverifiable')
    expect(codes).toContain('forked')
  })

  it('of a transaction in several parts are complete with its commit', async () => {
    begin(0)
    await work(3)
    source.beginLarge()
    await writer.sync()
    expect((await restore()).codes).toContain('uncommitted')
    source.end(true)
    await writer.sync()
    expect(await restore()).toMatchObject({ grade: 'complete', behind: 0 })
  })

  it('of which the last is missing: state.json shows it', async () => {
    begin(0)
    await work(5)
    await writer.store.delete((await segments()).at(-1) as string)
    expect(await restore()).toMatchObject({ grade: 'truncated', codes: ['end-missing'], behind: 1 })
    await writer.store.delete('app/state.json')
    expect(await restore()).toMatchObject({ grade: 'unverifiable', codes: ['no-state'], behind: 1 })
  })

  it('of two databases under one name: nothing is called exact', async () => {
    begin(0)
    await work(3)
    const other = new OldSource(join(folder, 'other.db'), 0)
    const second = new OldWriter(other.path, clock, writer.store)
    for (let i = 0; i < 4; i++) {
      other.commit(0.1, i)
      await second.sync()
      await work(1)
    }
    other.close()
    const { grade, codes } = await restore()
    expect({ grade, codes }).toEqual({
      grade: 'unverifiable',
      codes: expect.arrayContaining(['mixed']),
    })
  })
})

describe('a database that SQLite finds corrupt', () => {
  it('is not written: the next older snapshot is taken, and the result says so', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(4)
    source.checkpoint('TRUNCATE')
    await work(3)
    await snapshot()
    await work(4)
    const newest = (await snapshots()).at(-1) as string
    await change(`app/${newest}`, (bytes) => bytes.fill(0, 512 * 4))
    const { base, behind, rejected, grade } = await restore({ kind: 'latest' }, 'full')
    expect(base).toBe((await snapshots())[0])
    expect({ behind, grade }).toEqual({ behind: 0, grade: 'unverifiable' })
    expect(rejected.map(({ plan }) => plan.base?.key)).toEqual([newest])
  })
})

describe('a point in time', () => {
  it('takes no snapshot whose upload had not ended', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(3)
    const before = clock.now
    await snapshot(() => clock.tick(10_000))
    await work(4)
    const [first, second] = await snapshots()
    expect((await restore()).base).toBe(second)
    const time = new Date(before.getTime() + 4000)
    const then = await restore({ kind: 'time', time })
    expect(then).toMatchObject({ base: first, behind: 4 })
  })

  it('takes no snapshot that has commits which were stored after that time', async () => {
    begin(40)
    await work(3)
    await snapshot()
    await work(4)
    source.commit(0.5, 3)
    const release = source.hold()
    source.checkpoint('PASSIVE')
    await snapshot()
    const time = clock.now
    await work(4)
    release()
    const [first, second] = await snapshots()
    expect((await restore()).base).toBe(second)
    const then = await restore({ kind: 'time', time })
    // The page that the commit changed is in no second place as it was before.
    expect(then).toMatchObject({ base: first, behind: 5, codes: ['unvouched'] })
  })
})
