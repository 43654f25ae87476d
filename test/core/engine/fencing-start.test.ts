import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { readEnd } from '../../../src/core/replica/writer-claim/claim-store.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { add, expectLatest, fill, open, Shared, told } from '../../support/fencing-rig.ts'
import { until } from '../../support/until.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

describe('a start after an end', () => {
  it('that was clean writes nothing but its claim', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    await rig.stop()
    expect(await shared.epochs()).toEqual(['1.claim', '1.end'])
    shared.puts.length = 0
    await rig.start()
    await rig.synced()
    await delay(30)
    // The claim, and once in a process the proof that a second one is refused.
    const claim = 'walsync/epochs/0000000000000002.claim'
    expect(shared.puts).toEqual([claim, claim])
    expect(told(rig, 'took-over')).toEqual([])
    expect(rig.count('resumed')).toBe(1)
    await rig.stop()
    expect(await shared.epochs()).toEqual(['1.claim', '1.end', '2.claim', '2.end'])
    db.close()
  })

  it('that never came takes the next slot with a file that changes nothing, from which a later start resumes', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    add(db)
    await rig.synced()
    await shared.crash(rig)
    expect(await shared.slots()).toEqual(['1:1:full', '2:1:part'])
    for (const epoch of [2, 3]) {
      await rig.start()
      await rig.synced()
      expect(told(rig, 'took-over').at(-1)).toMatchObject({
        epoch,
        from: epoch - 1,
        txid: BigInt(epoch + 1),
        pid: process.pid,
      })
      await shared.crash(rig)
    }
    expect(await shared.slots()).toEqual(['1:1:full', '2:1:part', '3:2:part', '4:3:part'])
    expect(rig.count('base')).toBe(1)
    expect(rig.count('resumed')).toBe(2)
    await expectLatest(rig, db)
    expect(await readEnd(shared.store, 2, {})).toMatchObject({ slot: 4n, from: 4n, successor: 3 })
    add(db)
    await rig.start()
    await rig.synced()
    await rig.stop()
    expect(rig.count('base')).toBe(1)
    await expectLatest(rig, db)
    const before = await rig.restore({ kind: 'txid', txid: 3n as never })
    expect(before.prepare('SELECT count(*) AS n FROM t').get()).toEqual({ n: 21 })
    before.close()
    db.close()
  })

  it('takes the next slot with what was committed since, if there is something', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    await shared.crash(rig)
    add(db)
    await rig.start()
    await rig.synced()
    expect(await shared.slots()).toEqual(['1:1:full', '2:2:part'])
    expect(told(rig, 'took-over')).toMatchObject([{ txid: 2n }])
    await expectLatest(rig, db)
    await rig.stop()
    db.close()
  })

  it('whose WAL is restarted just after its place was found takes a base', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    await shared.crash(rig)
    add(db)
    db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    const { events } = rig
    const push = events.push.bind(events)
    vi.spyOn(events, 'push').mockImplementation((event) => {
      if (event.type === 'resumed') add(db)
      return push(event)
    })
    await rig.start()
    await rig.synced()
    expect(rig.count('resumed')).toBe(1)
    expect(told(rig, 'continuity-lost')).toHaveLength(1)
    expect(rig.count('base')).toBe(2)
    await rig.stop()
    await expectLatest(rig, db)
    db.close()
  })

  it('whose release fails says so, and the next one takes over', async () => {
    await using shared = new Shared()
    const rig = shared.rig()
    const db = open(rig)
    fill(db)
    await rig.start()
    await rig.synced()
    shared.hooks.put = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    await rig.stop()
    shared.hooks.put = undefined
    expect(told(rig, 'not-released')).toMatchObject([{ epoch: 1 }])
    await rig.start()
    await rig.synced()
    expect(rig.count('took-over')).toBe(1)
    await rig.stop()
    db.close()
  })

  it.each([
    'ships these first, then takes the slot after them',
    'ships these first also if a base must follow: their slots would be a gap after another crash',
  ])('with files in the spool %s', async (how) => {
    const needsBase = how.includes('base')
    await using shared = new Shared()
    const rig = shared.rig()
    const options = { spoolDir: join(rig.folder, 'spool'), maxWalBytes: 1 << 20 }
    const db = open(rig)
    fill(db)
    await rig.start(options)
    await rig.synced()
    const away = async () => {
      throw new StoreError('Unavailable', 'away', { op: 'put' })
    }
    shared.hooks.put = away
    db.exec('PRAGMA busy_timeout = 0')
    for (let i = 0; rig.count('spooling') < 2 && i < 2000; i++) {
      try {
        db.exec('INSERT INTO t (a) VALUES (randomblob(20000))')
      } catch (error) {
        expect((error as { errcode: number }).errcode).toBe(5)
      }
      await delay(4)
    }
    expect(rig.count('spooling')).toBeGreaterThanOrEqual(2)
    await rig.kill()
    shared.hooks.put = undefined
    if (needsBase) {
      db.exec('PRAGMA busy_timeout = 5000; PRAGMA wal_checkpoint(TRUNCATE)')
      db.exec("INSERT INTO t (a) VALUES ('after the crash')")
    }
    shared.puts.length = 0
    await rig.start(options)
    await rig.synced()
    expect(rig.count('spool-recovered')).toBe(1)
    // The fence file may follow the last commit.
    await until(() => rig.count('took-over') > 0)
    expect(rig.count('base')).toBe(needsBase ? 2 : 1)
    const files = shared.puts.filter((key) => key.startsWith('ltx/0/'))
    expect(files.length).toBeGreaterThan(2)
    expect(files).toEqual(files.toSorted())
    const epochs = (await shared.slots()).map((slot) => slot.split(':')[1])
    expect(epochs.indexOf('2')).toBeGreaterThan(1)
    expect(epochs.lastIndexOf('1')).toBe(epochs.indexOf('2') - 1)
    const first = BigInt(epochs.indexOf('2') + 1)
    expect(told(rig, 'took-over')).toMatchObject([{ txid: first }])
    await expectLatest(rig, db)
    await rig.stop()
    db.close()
  })
})
