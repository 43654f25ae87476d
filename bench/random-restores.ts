// Random histories of a database with its replica, then restores of random states, each held against
// what the database was: every row, and SQLite's integrity check. Ends with 1 if one differs.
// Usage: node bench/random-restores.ts [restores, default 1000] [seed]
import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { runCompaction } from '../src/core/compaction/run-compaction.ts'
import type { TXID } from '../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../src/core/replica/replica-client.ts'
import { contents, ReplicaRig } from '../test/support/replica-rig.ts'

const RESTORES_OF_ONE = 40
const STEPS = 40

const wanted = Number(process.argv[2] ?? 1000)
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32)
const random = generator(seed)
const startedAt = performance.now()
const counts: Record<string, number> = {}
const problems: string[] = []
/** States that only a deleted level-0 file ended at, by folder and TXID. */
const mergedAway = new Set<string>()
let restores = 0
for (let n = 0; restores < wanted; n++) await history(n)
const seconds = Math.round((performance.now() - startedAt) / 1000)
console.log(JSON.stringify({ seed, restores, differing: problems.length, counts, seconds }))
for (const problem of problems) console.log(problem)
process.exit(problems.length === 0 ? 0 : 1)

async function history(n: number): Promise<void> {
  await using rig = new ReplicaRig()
  const states = new Map<TXID, string>()
  let db = openApp(rig)
  fill(db, 300)
  await rig.start()
  await record(rig, db, states)
  for (let step = 0; step < STEPS; step++) {
    db = await act(rig, db)
    await record(rig, db, states)
  }
  await rig.stop()
  db.close()
  for (const type of ['base', 'resumed'] as const) tally(type, rig.count(type))
  const reachable = [...states].filter(([txid]) => !mergedAway.has(`${rig.folder} ${txid}`))
  for (let i = 0; i < RESTORES_OF_ONE && restores < wanted; i++) {
    const [txid, state] = pick(reachable)
    restores += 1
    try {
      const restored = await rig.restore({ kind: 'txid', txid })
      const { integrity_check: health } = restored.prepare('PRAGMA integrity_check').get() as {
        integrity_check: string
      }
      if (hash(restored) !== state) problems.push(`history ${n}, TXID ${txid}: other rows`)
      if (health !== 'ok') problems.push(`history ${n}, TXID ${txid}: ${health}`)
      restored.close()
    } catch (error) {
      problems.push(`history ${n}, TXID ${txid}: ${error}`)
    }
  }
}

async function act(rig: ReplicaRig, db: DatabaseSync): Promise<DatabaseSync> {
  const steps = {
    insert: () => fill(db, 1 + below(200)),
    update: () => db.exec(`UPDATE t SET a = hex(randomblob(80)) WHERE id % ${2 + below(40)} = 0`),
    delete: () => db.exec(`DELETE FROM t WHERE id % ${2 + below(4)} = 0`),
    vacuum: () => db.exec('VACUUM'),
    shrink: () => db.exec(`DELETE FROM t WHERE id > ${below(200)}; VACUUM`),
    'shrink and grow': () => {
      db.exec(`DELETE FROM t WHERE id > ${below(50)}; VACUUM`)
      fill(db, 600)
    },
    'many commits': () => {
      for (let i = 0; i < 30; i++) fill(db, 1)
    },
    table: () => db.exec(`CREATE TABLE IF NOT EXISTS t${below(5)} AS SELECT * FROM t LIMIT 50`),
    checkpoint: () => db.exec(`PRAGMA wal_checkpoint(${pick(['PASSIVE', 'FULL'])})`),
    'start again': async () => {
      await rig.stop()
      await rig.start()
    },
    'start after a kill': async () => {
      fill(db, 5)
      await rig.kill()
      await rig.start()
    },
    'log restarted unseen': async () => {
      await rig.stop()
      db.exec(`PRAGMA wal_checkpoint(${pick(['RESTART', 'TRUNCATE'])})`)
      if (below(2) === 0) fill(db, 10)
      await rig.start()
    },
    'application restarted': async () => {
      db.close()
      db = openApp(rig)
    },
    'both restarted': async () => {
      const isAppFirst = below(2) === 0
      if (isAppFirst) db.close()
      await rig.stop()
      if (!isAppFirst) db.close()
      if (below(3) === 0) {
        const other = openApp(rig)
        fill(other, 3)
        other.close()
      }
      await rig.start()
      db = openApp(rig)
    },
    merge: () => merge(rig),
  }
  const name = pick(Object.keys(steps)) as keyof typeof steps
  tally(name, 1)
  await steps[name]()
  return db
}

/** Merges a run of level-0 files; those that it replaces may go. */
async function merge(rig: ReplicaRig): Promise<void> {
  await rig.synced()
  const client = new ReplicaClient(rig.store, 'ltx')
  const files = await client.list()
  const done = files.findLast(({ level }) => level === 1)?.maxTxid ?? 1n
  const open = files.filter(({ level, minTxid }) => level === 0 && minTxid > done)
  const run = open.slice(0, 2 + below(8))
  if (run.length < 2) return
  const { signal } = new AbortController()
  const range = { minTxid: run[0]!.minTxid, maxTxid: run.at(-1)!.maxTxid, bytes: 0, dueAt: 0 }
  const merged = await runCompaction(
    client,
    { level: 1, files: run, ...range },
    { signal, nodeId: 1n },
  )
  tally('merged', merged.length)
  if (merged.length === 0 || below(2) === 0) return
  // The newest one says where the log goes on.
  for (const file of run.filter(({ maxTxid }) => maxTxid !== open.at(-1)!.maxTxid)) {
    await drop(rig, file, merged[0]!)
  }
}

async function drop(rig: ReplicaRig, file: LtxFileInfo, by: LtxFileInfo): Promise<void> {
  await rig.store.delete(file.key)
  if (file.maxTxid !== by.maxTxid) mergedAway.add(`${rig.folder} ${file.maxTxid}`)
}

async function record(rig: ReplicaRig, db: DatabaseSync, states: Map<TXID, string>): Promise<void> {
  await rig.synced()
  const files = await rig.files()
  const newest = files.reduce((a, b) => (b.maxTxid > a.maxTxid ? b : a))
  states.set(newest.maxTxid, hash(db))
}

function openApp(rig: ReplicaRig): DatabaseSync {
  return rig.open('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a TEXT)')
}

function fill(db: DatabaseSync, rows: number): void {
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
    INSERT INTO t (a) SELECT hex(randomblob(100)) FROM n`)
}

function hash(db: DatabaseSync): string {
  return createHash('sha256').update(contents(db)).digest('hex')
}

function tally(what: string, by: number): void {
  counts[what] = (counts[what] ?? 0) + by
}

function pick<T>(from: readonly T[]): T {
  return from[below(from.length)]!
}

/** A whole number from 0 to n - 1. */
function below(n: number): number {
  return Math.floor(random() * n)
}

/** Mulberry32: the same choices for the same seed. */
function generator(from: number): () => number {
  let state = from >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
