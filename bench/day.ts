// A day of writes at one commit a second, by a clock of its own: a real database, real change files,
// the real upkeep of a watcher. What the replica holds at the end, beside Litestream's default rules
// carried out on the same stream, and whether random points of it restore exactly.
// Usage: node bench/day.ts [hours, default 24] [points, default 100]
import { createHash, randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MemoryObjectStore } from '../src/backends/memory/index.ts'
import { SourceDatabase } from '../src/core/db/index.ts'
import { changeFile, fileBytes, fullFile } from '../src/core/engine/capture/ltx-file.ts'
import {
  DEFAULT_SNAPSHOT_TRIGGERS,
  SnapshotPolicy,
} from '../src/core/engine/snapshots/snapshot-policy.ts'
import { ReplicaCatalogue } from '../src/core/engine/upkeep/replica-catalogue.ts'
import { ReplicaMaintenance } from '../src/core/engine/upkeep/replica-maintenance.ts'
import { txid } from '../src/core/ltx/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../src/core/replica/replica-client.ts'
import { restoreReplica } from '../src/core/restore/restore.ts'
import { DEFAULT_LEVELS, DEFAULT_RETENTION } from '../src/core/retention/retention-policy.ts'
import { ObservedStore } from '../src/core/store/index.ts'
import { LitestreamRules } from './litestream-rules.ts'
import { VirtualClock } from './virtual-clock.ts'

const ROWS = 2000
const START = Date.UTC(2026, 0, 1)
const hours = Number(process.argv[2] ?? 24)
const points = Number(process.argv[3] ?? 100)
const signal = new AbortController().signal

const clock = new VirtualClock(START)
const folder = mkdtempSync(join(tmpdir(), 'walsync-day-'))

async function day(): Promise<void> {
  const store = new ObservedStore(new MemoryObjectStore())
  const catalogue = new ReplicaCatalogue('ltx')
  const onStored = (file: LtxFileInfo) => catalogue.add(file)
  const client = new ReplicaClient(store, 'ltx', { onStored })
  const policy = new SnapshotPolicy(store, 'ltx', DEFAULT_SNAPSHOT_TRIGGERS, onStored)
  const problems: unknown[] = []
  const maintenance = new ReplicaMaintenance(
    client,
    catalogue,
    { levels: DEFAULT_LEVELS, retention: DEFAULT_RETENTION, nodeId: 1n },
    (event) => {
      if (event.type !== 'compacted' && event.type !== 'pruned') problems.push(event)
    },
  )
  const litestream = new LitestreamRules(clock)
  const source = new Source()
  const base = await source.base(1)
  policy.recordSnapshot(txid(1n), clock.now)
  await client.put(9, txid(1n), txid(1n), base, { createdAt: new Date(clock.now) })
  await litestream.base(base)

  for (let second = 1; second <= hours * 3600; second++) {
    clock.advance(1000)
    const n = second + 1
    const bytes = await source.commit(n)
    await client.put(0, txid(BigInt(n)), txid(BigInt(n)), bytes, {
      createdAt: new Date(clock.now),
    })
    await litestream.change(n, bytes)
    if (maintenance.dueAt(clock.now) <= clock.now) await maintenance.run(clock.now, signal)
    if (policy.dueAt(clock.now, txid(BigInt(n))) <= clock.now) {
      const stamp = { timestamp: clock.now, nodeId: 1n, bootId: 1 }
      await policy.take(source.source, await source.view(), txid(BigInt(n)), stamp)
      await litestream.snapshot(n, await source.base(n))
    }
    if (second % 3600 === 0) process.stderr.write(`hour ${second / 3600}\n`)
  }
  const made = { ...store.calls }
  const exact = await restorePoints(client)
  console.log(
    JSON.stringify({
      hours,
      commits: hours * 3600,
      walsync: { ...summary(await client.list()), calls: made },
      litestreamRulesSimulated: await litestream.summary(),
      problems: problems.length,
      restoredExactly: `${exact} of ${points}`,
    }),
  )
  if (problems.length > 0 || exact !== points) process.exitCode = 1
}

/** Restores random states, and holds every row against what it must be. Half by TXID, half by time. */
async function restorePoints(client: ReplicaClient): Promise<number> {
  const files = await client.list()
  const ends = [...new Set(files.map(({ maxTxid }) => maxTxid))]
  let exact = 0
  for (let i = 0; i < points; i++) {
    const output = join(folder, `restored-${i}.db`)
    const byTime = i % 2 === 1
    const target = byTime
      ? ({ kind: 'time', time: new Date(START + randomInt(1, hours * 3600) * 1000) } as const)
      : ({ kind: 'txid', txid: ends[randomInt(ends.length)]! } as const)
    const { plan } = await restoreReplica(client, target, output, { integrityCheck: 'quick' })
    const reached = plan.files.at(-1)!.maxTxid
    const wanted =
      target.kind === 'txid'
        ? target.txid
        : ends
            .filter((end) => START + Number(end - 1n) * 1000 <= target.time.getTime())
            .sort(down)[0]
    if (reached === wanted && holds(output, Number(reached))) exact++
    rmSync(output)
  }
  return exact
}

function down(a: bigint, b: bigint): number {
  return a > b ? -1 : 1
}

/** Are the rows those after commit `n`, each of them? */
function holds(path: string, n: number): boolean {
  const expected = new Array<number>(ROWS).fill(1)
  for (let commit = 2; commit <= n; commit++) expected[rowOf(commit)] = commit
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    const rows = db.prepare('SELECT id, n, body FROM t ORDER BY id').all() as unknown as Row[]
    return (
      rows.length === ROWS &&
      rows.every(({ id, n, body }) => n === expected[id] && body === bodyOf(id, n))
    )
  } finally {
    db.close()
  }
}

interface Row {
  readonly id: number
  readonly n: number
  readonly body: string
}

function rowOf(commit: number): number {
  return (commit * 7919) % ROWS
}

function bodyOf(id: number, n: number): string {
  return createHash('sha512').update(`${id}:${n}`).digest('hex').repeat(3)
}

function summary(files: readonly LtxFileInfo[]) {
  const perLevel: Record<number, number> = {}
  for (const { level } of files) perLevel[level] = (perLevel[level] ?? 0) + 1
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  return { objects: files.length, megabytes: Math.round(bytes / 1e5) / 10, perLevel }
}

/** The application's database, and what is captured of it. */
class Source {
  readonly source: SourceDatabase
  readonly #app = new DatabaseSync(join(folder, 'app.db'))
  readonly #update

  constructor() {
    this.#app.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN')
    this.#app.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, body TEXT)')
    const insert = this.#app.prepare('INSERT INTO t VALUES (?, 1, ?)')
    for (let id = 0; id < ROWS; id++) insert.run(id, bodyOf(id, 1))
    this.#app.exec('COMMIT')
    this.#update = this.#app.prepare('UPDATE t SET n = ?, body = ? WHERE id = ?')
    this.source = SourceDatabase.open(join(folder, 'app.db'))!
  }

  async view() {
    return await this.source.capture.view()
  }

  async base(n: number): Promise<Uint8Array> {
    const view = n === 1 ? await this.source.capture.pinFullView() : await this.view()
    const txids = { minTxid: txid(1n), maxTxid: txid(BigInt(n)) }
    return fileBytes(fullFile(this.source, view, txids, this.#stamp()))
  }

  /** Commits once, and gives the change's file. */
  async commit(n: number): Promise<Uint8Array> {
    const id = rowOf(n)
    this.#update.run(n, bodyOf(id, n), id)
    const { capture } = this.source
    const change = await capture.scan()
    if (change === undefined) throw new Error('the commit was not seen')
    const bytes = fileBytes(changeFile(this.source, change, txid(BigInt(n)), this.#stamp()))
    capture.advance(change)
    if (n % 500 === 0) {
      capture.advanceReadMark()
      this.#app.exec('PRAGMA wal_checkpoint(PASSIVE)')
      capture.advanceReadMark()
    }
    return bytes
  }

  #stamp() {
    return { timestamp: clock.now, nodeId: 1n, bootId: 1 }
  }
}

try {
  await day()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
