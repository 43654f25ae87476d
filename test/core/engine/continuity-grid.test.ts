import { copyFileSync, existsSync, rmSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

/*
 * What an application may do while walsync is down, in every order that matters: commits that were
 * not shipped, a checkpoint of each kind, a new run of the log shorter or longer than the old one.
 * Whatever it was, the replica must afterwards restore to what the database holds, row by row.
 */
const MODES = ['none', 'PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const
const RUNS = ['none', 'shorter', 'equal', 'longer'] as const
const UNSHIPPED = [0, 2] as const
/** What stands behind the shipped end in the WAL file: nothing, or frames of an older run; and does a new run cut the file? */
const WALS = {
  'the file ends there': { older: false, pragma: '' },
  'older frames follow': { older: true, pragma: '' },
  'journal_size_limit 0': { older: true, pragma: 'PRAGMA journal_size_limit = 0;' },
  'journal_size_limit at the shipped end': { older: true, pragma: 'LIMIT' },
} as const
const SHIPPED = 6
const FRAME = 4096 + 24

function fill(db: DatabaseSync): void {
  db.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, pad TEXT)')
  const insert = db.prepare('INSERT INTO t VALUES (?, 0, ?)')
  db.exec('BEGIN')
  for (let i = 1; i <= 200; i++) insert.run(i, 'p'.repeat(150))
  db.exec('COMMIT')
}

let step = 0
/** One commit that changes one old page, a different one each time. */
function touch(db: DatabaseSync): void {
  step += 1
  db.exec(`UPDATE t SET v = ${step} WHERE id = ${1 + ((step * 37) % 200)}`)
}

function checkpoint(db: DatabaseSync, mode: Mode): void {
  if (mode !== 'none') db.exec(`PRAGMA wal_checkpoint(${mode})`)
}

async function expectEqual(rig: ReplicaRig, db: DatabaseSync): Promise<void> {
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  expect(restored.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  restored.close()
}

type Mode = (typeof MODES)[number]

/** May the next start go on without a new base? Only where nothing can have been lost, by the WAL or by the checksum of all pages. */
function isProvable(wal: keyof typeof WALS, unshipped: number, mode: Mode, run: string): boolean {
  if (mode === 'TRUNCATE') return unshipped === 0 && run === 'none'
  const restarted = mode !== 'none' && run !== 'none'
  if (!restarted) return true
  return unshipped === 0 && run === 'shorter' && wal === 'older frames follow'
}

describe('an application at work while walsync is down', () => {
  for (const wal of Object.keys(WALS) as (keyof typeof WALS)[]) {
    for (const unshipped of UNSHIPPED) {
      for (const mode of MODES) {
        for (const run of RUNS) {
          it(`${wal}, ${unshipped} unshipped commits, checkpoint ${mode}, new run ${run}`, async () => {
            await using rig = new ReplicaRig()
            const { older, pragma } = WALS[wal]
            const limit = `PRAGMA journal_size_limit = ${32 + SHIPPED * FRAME};`
            const db = rig.open(`PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 1000;`)
            fill(db)
            checkpoint(db, older ? 'RESTART' : 'TRUNCATE')
            await rig.start()
            for (let i = 0; i < SHIPPED; i++) touch(db)
            await rig.synced()
            await rig.stop()
            db.exec(pragma === 'LIMIT' ? limit : pragma)
            for (let i = 0; i < unshipped; i++) touch(db)
            checkpoint(db, mode)
            const longer = SHIPPED + unshipped + 3
            const commits = { none: 0, shorter: 2, equal: SHIPPED, longer }[run]
            for (let i = 0; i < commits; i++) touch(db)
            const bases = rig.count('base')
            await rig.start()
            await rig.synced()
            touch(db)
            await rig.synced()
            await rig.stop()
            const provable = isProvable(wal, unshipped, mode, run)
            expect(rig.count('base') - bases).toBe(provable ? 0 : 1)
            await expectEqual(rig, db)
            db.close()
          })
        }
      }
    }
  }
})

describe('two runs and other turns while walsync is down', () => {
  const turns: Record<string, (db: DatabaseSync, rig: ReplicaRig) => DatabaseSync> = {
    'two restarts': (db) => {
      for (let i = 0; i < 2; i++) {
        touch(db)
        checkpoint(db, 'RESTART')
      }
      touch(db)
      return db
    },
    'a commit, a restart, a commit, a passive checkpoint, a commit': (db) => {
      touch(db)
      checkpoint(db, 'RESTART')
      touch(db)
      checkpoint(db, 'PASSIVE')
      touch(db)
      return db
    },
    VACUUM: (db) => {
      db.exec('DELETE FROM t WHERE id % 2 = 0; VACUUM')
      touch(db)
      return db
    },
    'the last connection closes, and a new one writes': (db, rig) => {
      touch(db)
      db.close()
      const again = rig.open('PRAGMA wal_autocheckpoint = 0;')
      touch(again)
      return again
    },
    'journal mode DELETE and back': (db) => {
      db.exec('PRAGMA journal_mode = DELETE')
      touch(db)
      db.exec('PRAGMA journal_mode = WAL')
      touch(db)
      return db
    },
    'an older copy of database and WAL comes back': (db, rig) => {
      // The replica is then ahead of the database.
      copyFileSync(`${rig.path}.old`, `${rig.path}.tmp`)
      copyFileSync(`${rig.path}.old-wal`, `${rig.path}.tmp-wal`)
      db.close()
      for (const suffix of ['', '-wal', '-shm']) rmSync(rig.path + suffix, { force: true })
      copyFileSync(`${rig.path}.tmp`, rig.path)
      copyFileSync(`${rig.path}.tmp-wal`, `${rig.path}-wal`)
      return rig.open('PRAGMA wal_autocheckpoint = 0;')
    },
    'rolled-back spilled frames behind the shipped end': (db) => {
      db.exec('PRAGMA cache_size = 5; BEGIN; UPDATE t SET pad = pad || pad')
      db.exec('ROLLBACK')
      touch(db)
      return db
    },
  }
  for (const [name, turn] of Object.entries(turns)) {
    it(name, async () => {
      await using rig = new ReplicaRig()
      let db = rig.open('PRAGMA wal_autocheckpoint = 0;')
      fill(db)
      copyFileSync(rig.path, `${rig.path}.old`)
      copyFileSync(`${rig.path}-wal`, `${rig.path}.old-wal`)
      expect(existsSync(`${rig.path}.old-wal`)).toBe(true)
      await rig.start()
      for (let i = 0; i < 6; i++) touch(db)
      await rig.synced()
      await rig.stop()
      db = turn(db, rig)
      await rig.start()
      await rig.synced()
      touch(db)
      await rig.synced()
      await rig.stop()
      await expectEqual(rig, db)
      db.close()
    })
  }
})
