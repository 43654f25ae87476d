import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { provider } from '../../src/backends/file/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import { findRestorePoints } from '../../src/core/retention/restore-points.ts'
import { checkChain } from '../support/chain.ts'
import { contents } from '../support/replica-rig.ts'
import { pick } from './soak-processes.ts'

/** A source database, its replica, and what is known to be in it. */
export class SoakReplica {
  readonly name: string
  readonly path: string
  readonly problems: string[] = []
  restores = 0
  /** How often a killed writer had left a commit that only the next recovery of the log made one. */
  unpublished = 0
  /** Rows that a sync has promised. */
  floor = 0
  /** Rows of the source at moments, ascending: a restore to an earlier time cannot have more. */
  readonly #samples: { readonly at: number; readonly rows: number }[] = []
  readonly #folder: string

  constructor(folder: string, name: string) {
    this.name = name
    this.path = join(folder, `${name}.db`)
    this.#folder = folder
  }

  /** Rows that are committed now, by a connection like an application's. */
  sample(): number {
    const db = new DatabaseSync(this.path, { timeout: 20_000 })
    try {
      const { rows } = db.prepare('SELECT coalesce(max(seq), 0) AS rows FROM chain').get() as {
        rows: number
      }
      this.#samples.push({ at: Date.now(), rows })
      return rows
    } finally {
      db.close()
    }
  }

  /** The latest state, also while everything is at work. */
  async checkLatest(): Promise<void> {
    const { floor } = this
    const rows = await this.#restored({ kind: 'latest' })
    if (rows < floor) this.#problem(`latest has ${rows} rows, ${floor} were acknowledged`)
    const now = this.sample()
    if (rows > now) this.#problem(`latest has ${rows} rows, the source ${now}`)
  }

  /** What the source holds, to the last byte of every row. No writer may be alive, and everything shipped. */
  async checkExact(): Promise<void> {
    const output = await this.#restore({ kind: 'latest' })
    if (output === undefined) return
    const published = this.#publishedCopy()
    const [source, restored] = [this.path, output].map((path) => {
      const db = new DatabaseSync(path, { timeout: 20_000 })
      try {
        return { ...checkChain(db), text: contents(db) }
      } finally {
        db.close()
      }
    })
    for (const problem of [...source!.problems, ...restored!.problems]) this.#problem(problem)
    if (source!.text === restored!.text) return
    if (published !== undefined && contentsOf(published) === restored!.text) this.unpublished += 1
    else this.#problem(`latest has ${restored!.rows} rows, the source at rest ${source!.rows}`)
  }

  /** Some of the states that the listing promises, by TXID and by time. Nobody may write to the replica. */
  async checkPoints(count: number): Promise<void> {
    const points = findRestorePoints(await (await this.#client()).list())
    if (points.length === 0) return this.#problem('nothing can be restored')
    const chosen = Array.from({ length: count }, () => pick(points))
    let before = 0
    for (const { txid, time } of chosen.sort((a, b) => (a.txid < b.txid ? -1 : 1))) {
      const rows = await this.#restored({ kind: 'txid', txid })
      if (rows < before) this.#problem(`TXID ${txid} has ${rows} rows, one before it ${before}`)
      before = rows
      const moment = time + Math.floor(Math.random() * 1000)
      const then = await this.#restored({ kind: 'time', time: new Date(moment) })
      const later = this.#samples.find(({ at }) => at >= moment + 20)
      if (later !== undefined && then > later.rows) {
        this.#problem(`time ${moment} has ${then} rows, the source had ${later.rows} later`)
      }
    }
  }

  /**
   * If a killed writer has left frames that it had not published in the WAL index: what connections
   * saw, as a copy. For them these frames do not exist. If all are gone, the first to open the
   * database recovers the log, and a commit that no application was told of becomes one (SQLite,
   * "WAL-mode file format", sections 2.4 and 4.3).
   */
  #publishedCopy(): string | undefined {
    const [walPath, indexPath] = [`${this.path}-wal`, `${this.path}-shm`]
    if (!existsSync(walPath) || !existsSync(indexPath)) return undefined
    const [wal, index] = [readFileSync(walPath), readFileSync(indexPath)]
    if (wal.length < 32 || index.length < 48) return undefined
    const next = 32 + index.readUInt32LE(16) * (24 + wal.readUInt32BE(8))
    const isLeft = wal.length >= next + 24 && wal.compare(wal, 16, 24, next + 8, next + 16) === 0
    if (!isLeft) return undefined
    const copy = join(this.#folder, `restored-${this.name}-${process.hrtime.bigint()}-published.db`)
    copyFileSync(this.path, copy)
    writeFileSync(`${copy}-wal`, wal.subarray(0, next))
    return copy
  }

  async #restored(target: RestoreTarget): Promise<number> {
    const output = await this.#restore(target)
    if (output === undefined) return Number.NaN
    const db = new DatabaseSync(output)
    try {
      const { rows, problems } = checkChain(db)
      for (const problem of problems) this.#problem(`${describe(target)}: ${problem}`)
      return rows
    } finally {
      db.close()
    }
  }

  async #restore(target: RestoreTarget): Promise<string | undefined> {
    const output = join(this.#folder, `restored-${this.name}-${process.hrtime.bigint()}.db`)
    try {
      await restoreReplica(await this.#client(), target, output, { integrityCheck: 'none' })
      this.restores += 1
      return output
    } catch (error) {
      this.#problem(`restore of ${describe(target)}: ${error} ${(error as Error).cause ?? ''}`)
      return undefined
    }
  }

  async #client(): Promise<ReplicaClient> {
    const url = new URL(`${pathToFileURL(join(this.#folder, 'replica'))}/${this.name}?create=1`)
    return new ReplicaClient(await provider.open(url, {}, {}), 'ltx')
  }

  #problem(text: string): void {
    this.problems.push(`${new Date().toISOString()} ${this.name}: ${text}`)
  }
}

function describe(target: RestoreTarget): string {
  if (target.kind === 'latest') return 'the latest state'
  return target.kind === 'txid' ? `TXID ${target.txid}` : `time ${target.time.getTime()}`
}

function contentsOf(path: string): string {
  const db = new DatabaseSync(path)
  try {
    return contents(db)
  } finally {
    db.close()
  }
}
