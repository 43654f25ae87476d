import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import {
  Engine,
  type EngineDatabase,
  type EngineEvent,
  type EngineOptions,
} from '../../src/core/engine/index.ts'
import { type LtxFileInfo, ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import type { ObjectStore } from '../../src/core/store/index.ts'

/** One database in a folder of its own, an engine that can be started and stopped, and a store to restore from. */
export class ReplicaRig implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'walsync rig '))
  readonly path = join(this.folder, 'app.db')
  readonly events: EngineEvent[] = []
  readonly store: ObjectStore
  #engine: Engine | undefined
  #restores = 0

  constructor(store: ObjectStore = new MemoryObjectStore()) {
    this.store = store
  }

  /** An application's connection. */
  open(pragmas = ''): DatabaseSync {
    const db = new DatabaseSync(this.path, { timeout: 5000 })
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; ${pragmas}`)
    return db
  }

  async start(
    options: Partial<EngineDatabase> = {},
    engine: Partial<EngineOptions> = {},
  ): Promise<void> {
    this.#engine = new Engine({
      databases: [
        {
          name: 'app',
          path: this.path,
          store: this.store,
          layout: 'ltx',
          syncIntervalMs: 5,
          pollIntervalMs: 5,
          snapshots: { intervalMs: 0 },
          // By the clock on the wall: a test that counts files would depend on when it runs.
          levels: [],
          ...options,
        },
      ],
      onEvent: (event) => this.events.push(event),
      ...engine,
    })
    await this.#engine.start()
  }

  /** Ends the engine after a final sync and closes its connections, as the end of its process would. */
  async stop(): Promise<void> {
    const engine = this.#engine
    this.#engine = undefined
    if (engine === undefined) return
    const unshipped = await engine.stop(10_000)
    await engine.close()
    if (unshipped.length > 0) throw new Error('the final sync was not complete')
  }

  /** Ends the engine as a kill would: without a final sync. */
  async kill(): Promise<void> {
    const engine = this.#engine
    this.#engine = undefined
    await engine?.stop(0).catch(() => undefined)
    await engine?.close()
  }

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error('the engine is not running')
    return this.#engine
  }

  count(type: EngineEvent['type']): number {
    return this.events.filter((event) => event.type === type).length
  }

  /** Resolves when the store has what the database has now. */
  async synced(): Promise<void> {
    const late = setTimeout(() => {
      const text = JSON.stringify([this.engine.status(), this.events.slice(-20)], (_, v) =>
        typeof v === 'bigint' ? String(v) : v instanceof Error ? String(v.stack) : v,
      )
      console.error(`no sync within 20 s: ${text}`)
    }, 20_000)
    await this.engine.sync()
    clearTimeout(late)
  }

  files(): Promise<LtxFileInfo[]> {
    return new ReplicaClient(this.store, 'ltx').list()
  }

  /** Restores into a new file and opens it; the integrity check is left to the caller, for it costs a process. */
  async restore(target: RestoreTarget = { kind: 'latest' }): Promise<DatabaseSync> {
    const output = join(this.folder, `restored-${++this.#restores}.db`)
    await restoreReplica(new ReplicaClient(this.store, 'ltx'), target, output, {
      integrityCheck: 'none',
    })
    return new DatabaseSync(output)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#engine !== undefined) {
      await this.#engine.stop(1000).catch(() => undefined)
      await this.#engine.close()
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** All rows of all tables, as text: two databases with the same are the same to their users. */
export function contents(db: DatabaseSync): string {
  const tables = db
    .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all() as { name: string; sql: string }[]
  return tables
    .map(({ name, sql }) => {
      const rows = db.prepare(`SELECT rowid AS r, * FROM "${name}" ORDER BY rowid`).all()
      return `${sql}\n${rows.map((row) => JSON.stringify(Object.values(row), (_, v) => (v instanceof Uint8Array ? Buffer.from(v).toString('hex') : v))).join('\n')}`
    })
    .join('\n\n')
}
