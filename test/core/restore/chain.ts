import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  EMPTY_DATABASE_CHECKSUM,
  encodeLtx,
  type LtxHeader,
  type LtxPage,
  lockPage,
  pageHash,
  toggleChecksum,
  txid,
} from '../../../src/core/ltx/index.ts'
import type { ReplicaClient } from '../../../src/core/replica/replica-client.ts'
import { makeHeader } from '../ltx/ltx-samples.ts'

/** Each TXID is a minute after the one before. */
export const START = Date.UTC(2026, 0, 1)

export function timeOfTxid(n: number): Date {
  return new Date(START + n * 60_000)
}

type Step = (database: DatabaseSync) => void

/** States of a real database, one after each step, taken by a checkpoint. */
export function databaseStates(steps: readonly Step[], pageSize = 4096): Buffer[] {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-chain-'))
  try {
    const path = join(folder, 'source.db')
    using database = new DatabaseSync(path)
    database.exec(`PRAGMA page_size=${pageSize}; PRAGMA journal_mode=WAL`)
    return steps.map((step) => {
      step(database)
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      return readFileSync(path)
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** States that insert and update, and every fifth one shrinks (DELETE, VACUUM), so that the next ones grow again. */
export function growingStates(count: number, pageSize = 4096): Buffer[] {
  const first: Step = (database) =>
    database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX i ON t (x)')
  const others = Array.from(
    { length: count - 1 },
    (_, n): Step =>
      (database) => {
        const insert = database.prepare('INSERT INTO t (x) VALUES (?)')
        for (let row = 0; row < 20; row++) insert.run(`step ${n} row ${row} ${'x'.repeat(row * 7)}`)
        database.exec(`UPDATE t SET x = x || '!' WHERE id % 13 = ${n % 13}`)
        if (n % 5 === 4) database.exec('DELETE FROM t WHERE id % 2 = 0; VACUUM')
      },
  )
  return databaseStates([first, ...others], pageSize)
}

export interface ChainFile {
  readonly level: number
  readonly min: number
  readonly max: number
}

/** The LTX file of TXIDs `min` to `max`, where TXID n made the state `states[n - 1]`: every page that any of them changed, and the checksums of the database. */
export function ltxBetween(
  states: readonly Buffer[],
  pageSize: number,
  file: ChainFile,
): Uint8Array {
  const last = states[file.max - 1] as Buffer
  const commit = last.length / pageSize
  const changed = new Set<number>()
  for (let n = file.min; n <= file.max; n++) {
    const before = states[n - 2] ?? Buffer.alloc(0)
    const after = states[n - 1] as Buffer
    for (let pgno = 1; pgno <= after.length / pageSize; pgno++) {
      if (!pageOf(before, pgno, pageSize).equals(pageOf(after, pgno, pageSize))) changed.add(pgno)
    }
  }
  const pages: LtxPage[] = [...changed]
    .filter((pgno) => pgno <= commit && pgno !== lockPage(pageSize))
    .sort((a, b) => a - b)
    .map((pgno) => ({ pgno, data: pageOf(last, pgno, pageSize) }))
  const before = file.min === 1 ? undefined : checksumOf(states[file.min - 2] as Buffer, pageSize)
  const checksums = { before, after: checksumOf(last, pageSize) }
  return encodeLtx(headerOf(file, pageSize, commit), pages, { checksums })
}

/** Of a whole database. */
export function checksumOf(state: Buffer, pageSize: number): bigint {
  let checksum = EMPTY_DATABASE_CHECKSUM
  for (let pgno = 1; pgno <= state.length / pageSize; pgno++) {
    if (pgno === lockPage(pageSize)) continue
    checksum = toggleChecksum(checksum, pageHash(pgno, pageOf(state, pgno, pageSize)))
  }
  return checksum
}

function pageOf(state: Buffer, pgno: number, pageSize: number): Buffer {
  return state.subarray((pgno - 1) * pageSize, pgno * pageSize)
}

export function headerOf(file: ChainFile, pageSize: number, commit: number): LtxHeader {
  return makeHeader({
    pageSize,
    commit,
    minTxid: txid(file.min),
    maxTxid: txid(file.max),
    timestamp: timeOfTxid(file.max).getTime(),
  })
}

/** Stores the files of a chain. */
export async function putChain(
  client: ReplicaClient,
  states: readonly Buffer[],
  pageSize: number,
  files: readonly ChainFile[],
): Promise<void> {
  for (const file of files) {
    const body = ltxBetween(states, pageSize, file)
    await client.put(file.level, txid(file.min), txid(file.max), body, {
      createdAt: timeOfTxid(file.max),
    })
  }
}

/** One level-0 file for each of the TXIDs. */
export function level0(from: number, to: number): ChainFile[] {
  return Array.from({ length: to - from + 1 }, (_, i) => ({
    level: 0,
    min: from + i,
    max: from + i,
  }))
}
