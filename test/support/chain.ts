import { createHash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'

/** Every row extends a SHA-256 chain over all rows before it, so that a lost, torn or reordered commit shows. */
export const CHAIN_SCHEMA = `
  CREATE TABLE IF NOT EXISTS chain (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL, hash TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
  CREATE INDEX IF NOT EXISTS chain_hash ON chain (hash);
`
export const ACCOUNTS = 100
export const BALANCE = 1000

export function chainHash(previous: string, seq: number, payload: string): string {
  return createHash('sha256').update(`${previous}|${seq}|${payload}`).digest('hex')
}

export interface ChainCheck {
  /** Rows of the chain, from 1 without a gap. */
  readonly rows: number
  readonly lastHash: string
  /** What is wrong; empty if nothing is. */
  readonly problems: readonly string[]
}

/** Verifies a database that `ChainWriter` wrote: chain, constant sum of balances, integrity. */
export function checkChain(db: DatabaseSync): ChainCheck {
  const problems: string[] = []
  const { integrity_check } = db.prepare('PRAGMA integrity_check').get() as {
    integrity_check: string
  }
  if (integrity_check !== 'ok') problems.push(`integrity_check: ${integrity_check}`)
  const has = db.prepare("SELECT count(*) c FROM sqlite_schema WHERE name = 'chain'").get()
  if ((has as { c: number }).c === 0) return { rows: 0, lastHash: '', problems }
  let previous = ''
  let seq = 0
  for (const row of db.prepare('SELECT seq, payload, hash FROM chain ORDER BY seq').iterate()) {
    const { seq: found, payload, hash } = row as { seq: number; payload: string; hash: string }
    seq += 1
    if (found !== seq) problems.push(`row ${seq} is missing; found ${found}`)
    if (chainHash(previous, found, payload) !== hash) problems.push(`row ${found} breaks the chain`)
    if (problems.length > 3) break
    previous = hash
    seq = found
  }
  const sums = db.prepare('SELECT count(*) n, coalesce(sum(balance), 0) s FROM account').get()
  const { n, s } = sums as { n: number; s: number }
  if (n !== 0 && (n !== ACCOUNTS || s !== ACCOUNTS * BALANCE)) {
    problems.push(`${n} accounts hold ${s}, not ${ACCOUNTS * BALANCE}`)
  }
  return { rows: seq, lastHash: previous, problems }
}

/** Writes chain transactions: one new row, one transfer between two accounts (an update of old pages). */
export class ChainWriter {
  readonly #db: DatabaseSync
  #seq: number
  #hash: string

  constructor(db: DatabaseSync) {
    this.#db = db
    db.exec(CHAIN_SCHEMA)
    const fill = `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${ACCOUNTS})
      INSERT OR IGNORE INTO account SELECT i, ${BALANCE} FROM n`
    db.exec(fill)
    const last = db.prepare('SELECT seq, hash FROM chain ORDER BY seq DESC LIMIT 1').get() as
      | { seq: number; hash: string }
      | undefined
    this.#seq = last?.seq ?? 0
    this.#hash = last?.hash ?? ''
  }

  get seq(): number {
    return this.#seq
  }

  /** Commits one transaction with `rows` new rows of about `bytes` each. */
  commit(rows = 1, bytes = 120): void {
    const db = this.#db
    let seq = this.#seq
    let hash = this.#hash
    db.exec('BEGIN IMMEDIATE')
    const insert = db.prepare('INSERT INTO chain VALUES (?, ?, ?)')
    for (let i = 0; i < rows; i++) {
      seq += 1
      const payload = String(seq)
        .repeat(Math.ceil(bytes / String(seq).length))
        .slice(0, bytes)
      hash = chainHash(hash, seq, payload)
      insert.run(seq, payload, hash)
    }
    const [from, to] = [1 + ((seq * 7) % ACCOUNTS), 1 + ((seq * 13) % ACCOUNTS)]
    db.exec(`UPDATE account SET balance = balance - 1 WHERE id = ${from}`)
    db.exec(`UPDATE account SET balance = balance + 1 WHERE id = ${to}`)
    db.exec('COMMIT')
    this.#seq = seq
    this.#hash = hash
  }
}
