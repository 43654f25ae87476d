import { execFileSync } from 'node:child_process'
import type { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import { MemoryObjectStore } from '../../src/backends/memory/index.ts'
import type { EngineEvent } from '../../src/core/engine/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { epochOf } from '../../src/core/replica/writer-claim/claim-rules.ts'
import { listEpochs } from '../../src/core/replica/writer-claim/claim-store.ts'
import { StoreError } from '../../src/core/store/index.ts'
import { hookedStore, type StoreHooks } from './hooked-store.ts'
import { contents, ReplicaRig } from './replica-rig.ts'

/** A store, and rigs on it that each have a database of their own. */
export class Shared implements AsyncDisposable {
  readonly hooks: StoreHooks = {}
  readonly puts: string[] = []
  readonly store = hookedStore(new MemoryObjectStore(), this.hooks)
  readonly client = new ReplicaClient(this.store, 'ltx')
  readonly #rigs: ReplicaRig[] = []

  constructor() {
    this.hooks.onCall = (name, key) => {
      if (name === 'put') this.puts.push(key)
    }
  }

  rig(): ReplicaRig {
    const rig = new ReplicaRig(this.store)
    this.#rigs.push(rig)
    return rig
  }

  /** A rig whose database is what the other's is now, WAL and all. By another process: closing a descriptor here would drop this one's locks. */
  copyOf(rig: ReplicaRig): ReplicaRig {
    const copy = this.rig()
    for (const suffix of ['', '-wal']) execFileSync('cp', [rig.path + suffix, copy.path + suffix])
    return copy
  }

  /** Ends a rig as a kill would: its epoch has no end. */
  async crash(rig: ReplicaRig): Promise<void> {
    const { put } = this.hooks
    this.hooks.put = async (key, go) => {
      if (key.endsWith('.end')) throw new StoreError('Unavailable', 'killed', { op: 'put' })
      return await go()
    }
    await rig.kill()
    this.hooks.put = put
  }

  async epochs(): Promise<string[]> {
    return (await listEpochs(this.store)).map(({ epoch, kind }) => `${epoch}.${kind}`)
  }

  /** Epochs of the level-0 files and the first base, in the order of their slots. */
  async slots(): Promise<string[]> {
    const files = (await this.client.list()).filter(({ minTxid, maxTxid }) => minTxid === maxTxid)
    const slots = files.toSorted((a, b) => Number(a.maxTxid - b.maxTxid))
    return await Promise.all(
      slots.map(async (file) => {
        const header = await this.client.readHeader(file)
        const kind = (await isFull(this.client, file.key)) ? 'full' : 'part'
        return `${file.maxTxid}:${epochOf(header.nodeId)}:${kind}`
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rig of this.#rigs) await rig[Symbol.asyncDispose]()
  }
}

/** A file of nearly all pages, told by its size beside the others of these tests. */
async function isFull(client: ReplicaClient, key: string): Promise<boolean> {
  return ((await client.store.head(key))?.size ?? 0) > 9000
}

/** Rows that do not compress, so that a full file is told by its size. */
export function fill(db: DatabaseSync): void {
  db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, a);
    WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20)
    INSERT INTO t SELECT i, randomblob(2000) FROM n`)
}

export function open(rig: ReplicaRig): DatabaseSync {
  return rig.open('PRAGMA wal_autocheckpoint = 0;')
}

let rows = 100
export function add(db: DatabaseSync): void {
  rows += 1
  db.exec(`INSERT INTO t VALUES (${rows}, 'small')`)
}

export async function expectLatest(rig: ReplicaRig, db: DatabaseSync): Promise<void> {
  const restored = await rig.restore()
  expect(contents(restored)).toBe(contents(db))
  expect(restored.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
  restored.close()
}

export const told = (rig: ReplicaRig, type: EngineEvent['type']) =>
  rig.events.filter((event) => event.type === type)

export async function fencedBy(rig: ReplicaRig): Promise<unknown> {
  return await rig.engine.done().then(
    () => undefined,
    (error: unknown) => error,
  )
}
