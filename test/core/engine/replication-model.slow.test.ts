import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contents, ReplicaRig } from '../../support/replica-rig.ts'

/*
 * Random histories against a model. The model is the application's own database: after every
 * command that lets walsync catch up, its content is noted under the TXID that the replica has
 * then, and at the end every noted TXID must restore to exactly that content.
 */
type Command =
  | { readonly kind: 'insert'; readonly rows: number; readonly bytes: number }
  | {
      readonly kind:
        | 'update'
        | 'update-all'
        | 'vacuum'
        | 'rollback'
        | 'spill-rollback'
        | 'reconnect'
        | 'sync'
    }
  | { readonly kind: 'delete'; readonly share: number }
  | { readonly kind: 'checkpoint'; readonly mode: string }
  | {
      readonly kind: 'restart'
      readonly ending: 'stop' | 'kill'
      readonly meanwhile: readonly Command[]
    }
  /** Time for walsync to work. During `away`, no application has the database open. */
  | { readonly kind: 'pause' | 'away'; readonly ms: number }
  | { readonly kind: 'reader' }

const simple = fc.oneof(
  fc.record({
    kind: fc.constant('insert' as const),
    rows: fc.integer({ min: 1, max: 40 }),
    bytes: fc.integer({ min: 1, max: 6000 }),
  }),
  fc.record({
    kind: fc.constantFrom(
      'update',
      'update-all',
      'vacuum',
      'rollback',
      'spill-rollback',
      'reconnect',
    ),
  }),
  fc.record({ kind: fc.constant('delete' as const), share: fc.integer({ min: 2, max: 5 }) }),
  fc.record({
    kind: fc.constant('checkpoint' as const),
    mode: fc.constantFrom('PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'),
  }),
)
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: simple as fc.Arbitrary<Command> },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reader' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('pause' as const, 'away' as const),
      ms: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('restart' as const),
      ending: fc.constantFrom('stop' as const, 'kill' as const),
      meanwhile: fc.array(simple as fc.Arbitrary<Command>, { maxLength: 4 }),
    }),
  },
)

class Model {
  readonly rig: ReplicaRig
  readonly #pragmas: string
  readonly #notes = new Map<bigint, string>()
  #db: DatabaseSync
  #reader: DatabaseSync | undefined
  readonly #closesIdle: boolean
  #counter = 0

  constructor(rig: ReplicaRig, pageSize: number, autoVacuum: number, closesIdle: boolean) {
    this.rig = rig
    this.#closesIdle = closesIdle
    this.#pragmas = `PRAGMA cache_size = 10; PRAGMA busy_timeout = 20;`
    this.#db = rig.open(`PRAGMA busy_timeout = 20`)
    this.#db.exec(`PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = ${autoVacuum};
      PRAGMA page_size = ${pageSize}; VACUUM; PRAGMA journal_mode = WAL; ${this.#pragmas}
      CREATE TABLE t (id INTEGER PRIMARY KEY, v, pad BLOB)`)
  }

  async run(commands: readonly Command[]): Promise<void> {
    await this.#start()
    await this.#note()
    for (const each of commands) await this.#perform(each)
    this.#reader?.close()
    await this.#note()
    await this.rig.stop()
    expect(digest(contents(this.#db))).toBe([...this.#notes.values()].at(-1))
    for (const [txid, content] of this.#notes) {
      const restored = await this.rig.restore({ kind: 'txid', txid: txid as never })
      expect(digest(contents(restored)), `TXID ${txid}`).toBe(content)
      const check = restored.prepare('PRAGMA integrity_check').get()
      expect(check).toEqual({ integrity_check: 'ok' })
      restored.close()
    }
    this.#db.close()
  }

  async #perform(each: Command): Promise<void> {
    if (each.kind === 'sync') return await this.#note()
    if (each.kind === 'reader') return this.#toggleReader()
    if (each.kind === 'pause') return await delay(each.ms)
    if (each.kind === 'away') return await this.#away(each.ms)
    if (each.kind !== 'restart') return this.#apply(each)
    await this.rig[each.ending]()
    for (const inner of each.meanwhile) this.#apply(inner)
    await this.#start()
  }

  async #start(): Promise<void> {
    await this.rig.start({}, this.#closesIdle ? { maxOpen: 0, idleAfterMs: 5 } : {})
  }

  async #away(ms: number): Promise<void> {
    this.#reader?.close()
    this.#reader = undefined
    this.#db.close()
    await delay(ms)
    this.#db = this.rig.open(this.#pragmas)
  }

  #apply(each: Command): void {
    this.#counter += 1
    if (each.kind === 'reconnect') {
      this.#db.close()
      this.#db = this.rig.open(this.#pragmas)
    } else if (each.kind === 'checkpoint') {
      this.#db.prepare(`PRAGMA wal_checkpoint(${each.mode})`).get()
    } else if (each.kind === 'insert') {
      this.#db.exec('BEGIN')
      for (let i = 0; i < each.rows; i++) this.#insert(each.bytes)
      this.#db.exec('COMMIT')
    } else {
      this.#db.exec(this.#sql(each))
    }
  }

  #sql(each: Command): string {
    switch (each.kind) {
      case 'update':
        return `UPDATE t SET v = ${this.#counter} WHERE id % 3 = ${this.#counter % 3}`
      case 'update-all':
        return `UPDATE t SET v = ${this.#counter}`
      case 'delete':
        return `DELETE FROM t WHERE id % ${each.share} = 0`
      case 'vacuum':
        return 'VACUUM'
      case 'rollback':
        return 'BEGIN; INSERT INTO t VALUES (NULL, -1, zeroblob(100)); ROLLBACK'
      case 'spill-rollback':
        return 'BEGIN; INSERT INTO t SELECT NULL, -2, randomblob(9000) FROM t; ROLLBACK'
      default:
        throw new Error(`no SQL for ${each.kind}`)
    }
  }

  #insert(bytes: number): void {
    this.#db.prepare('INSERT INTO t VALUES (NULL, ?, zeroblob(?))').run(this.#counter, bytes)
  }

  /** A long reader of the application: it pins the WAL, and nothing else may suffer. */
  #toggleReader(): void {
    if (this.#reader === undefined) {
      this.#reader = this.rig.open()
      this.#reader.exec('BEGIN; SELECT count(*) FROM t')
    } else {
      this.#reader.close()
      this.#reader = undefined
    }
  }

  async #note(): Promise<void> {
    await this.rig.synced()
    const { txid } = this.rig.engine.status()[0]!
    this.#notes.set(txid!, digest(contents(this.#db)))
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

const RUNS = Number(process.env.WALSYNC_MODEL_RUNS ?? 40)

describe('replication against a model', () => {
  it(
    `every TXID restores to what the database held then (${RUNS} random histories)`,
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(command, { minLength: 3, maxLength: 20 }),
          fc.constantFrom(512, 1024, 4096, 8192, 65536),
          fc.constantFrom(0, 1, 2),
          fc.boolean(),
          async (commands, pageSize, autoVacuum, closesIdle) => {
            await using rig = new ReplicaRig()
            await new Model(rig, pageSize, autoVacuum, closesIdle).run(commands)
          },
        ),
        { numRuns: RUNS, endOnFailure: true },
      )
    },
    Math.max(600_000, 1000 * RUNS),
  )
})
