import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryObjectStore } from '../../../src/backends/memory/index.ts'
import { encodeLtx, type LtxPage, type TXID, txid } from '../../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../../src/core/restore/restore.ts'
import type { StateSpan } from '../../../src/core/verify/index.ts'
import {
  type ChainFile,
  checksumOf,
  databaseStates,
  headerOf,
  level0,
  ltxBetween,
  timeOfTxid,
} from '../restore/chain.ts'

const SMALL = 512
const LARGE = 1024

/** Eight states of a database of small pages, then three of one of larger pages under the same name. */
const states = [
  ...databaseStates(
    [
      // Two pages that are never written again, so that the first file stays needed.
      (db) => db.exec('CREATE TABLE t (x); CREATE TABLE once AS SELECT 1'),
      ...Array.from({ length: 5 }, (_, n) => (db: Parameters<Step>[0]) => {
        db.exec(`INSERT INTO t VALUES ('row ${n}'), (zeroblob(${n * 150}))`)
      }),
      (db) => db.exec('DELETE FROM t WHERE rowid > 3; VACUUM'),
      (db) => db.exec("INSERT INTO t VALUES ('eight'), (hex(zeroblob(400)))"),
    ],
    SMALL,
  ),
  ...databaseStates(
    [
      (db) =>
        db.exec('CREATE TABLE u (y); CREATE TABLE once AS SELECT 2; INSERT INTO u VALUES (1)'),
      (db) => db.exec("INSERT INTO u VALUES ('ten')"),
      (db) => db.exec('INSERT INTO u VALUES (hex(zeroblob(900)))'),
    ],
    LARGE,
  ),
]
type Step = (db: import('node:sqlite').DatabaseSync) => void

/** TXID n makes `states[n - 1]`. */
export const STATES: readonly Buffer[] = states
export const NEWEST = txid(states.length)
const CHANGE = 9

/** Changes and compactions of both page sizes, snapshots, and a complete file in the middle of the chain. */
const FILES: readonly ChainFile[] = [
  { level: 9, min: 1, max: 1 },
  ...level0(2, 11),
  { level: 1, min: 2, max: 4 },
  { level: 1, min: 5, max: 8 },
  { level: 9, min: 1, max: 6 },
  { level: 9, min: 1, max: CHANGE },
]

export class SmallReplica {
  readonly store = new MemoryObjectStore()
  readonly client = new ReplicaClient(this.store, 'ltx')
  readonly keys: string[] = []
  readonly #good = new Map<string, Uint8Array>()
  readonly folder = mkdtempSync(join(tmpdir(), 'walsync-verify-test-'))

  static async create(files: readonly ChainFile[] = FILES): Promise<SmallReplica> {
    const replica = new SmallReplica()
    for (const file of files) {
      const body = bytesOf(file)
      const { level, min, max } = file
      const createdAt = timeOfTxid(max)
      const { key } = await replica.client.put(level, txid(min), txid(max), body, { createdAt })
      replica.keys.push(key)
      replica.#good.set(key, body)
    }
    return replica
  }

  bytesOf(key: string): Uint8Array {
    return this.#good.get(key) as Uint8Array
  }

  /** As it is now. */
  async stored(key: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of (await this.store.get(key)).body) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  async replace(key: string, bytes: Uint8Array): Promise<void> {
    await this.store.put(key, bytes, { createdAt: timeOfKey(key) })
  }

  async flip(key: string, at: number): Promise<void> {
    const bytes = Uint8Array.from(this.bytesOf(key))
    bytes[at] = (bytes[at] as number) ^ (1 << (at % 8))
    await this.replace(key, bytes)
  }

  /** Puts the good bytes back. */
  async mend(key: string): Promise<void> {
    await this.replace(key, this.bytesOf(key))
  }

  /** The states that a restore makes now. Fails if one comes out wrong. */
  async restoredStates(): Promise<TXID[]> {
    const restored: TXID[] = []
    const output = join(this.folder, 'out.db')
    for (const [index, state] of STATES.entries()) {
      const target = { kind: 'txid', txid: txid(index + 1) } as const
      rmSync(output, { force: true })
      const done = await restoreReplica(this.client, target, output, {
        integrityCheck: 'none',
      }).then(
        () => true,
        () => false,
      )
      if (!done) continue
      if (!readFileSync(output).equals(state)) throw new Error(`TXID ${index + 1} came out wrong`)
      restored.push(target.txid)
    }
    return restored
  }

  remove(): void {
    rmSync(this.folder, { recursive: true })
  }
}

/** The TXIDs in spans of a replica in which every TXID is a state. */
export function txidsIn(spans: readonly StateSpan[]): TXID[] {
  return spans.flatMap(({ from, to }) => {
    return Array.from({ length: Number(to - from) + 1 }, (_, n) => (from + BigInt(n)) as TXID)
  })
}

function bytesOf(file: ChainFile): Uint8Array {
  const pageSize = file.max < CHANGE ? SMALL : LARGE
  if (file.max !== CHANGE) return ltxBetween(STATES as Buffer[], pageSize, file)
  const state = STATES[CHANGE - 1] as Buffer
  const commit = state.length / pageSize
  const pages = Array.from({ length: commit }, (_, n): LtxPage => {
    return { pgno: n + 1, data: state.subarray(n * pageSize, (n + 1) * pageSize) }
  })
  const checksums = { before: undefined, after: checksumOf(state, pageSize) }
  return encodeLtx(headerOf(file, pageSize, commit), pages, { checksums })
}

function timeOfKey(key: string): Date {
  return timeOfTxid(Number.parseInt(/-([0-9a-f]{16})\.ltx$/.exec(key)?.[1] ?? '', 16))
}
