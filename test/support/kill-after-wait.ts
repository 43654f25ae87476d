import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { restoreIfMissing } from '../../src/api/index.ts'

export interface KillLoop {
  readonly kills: number
  /** Table of the application, with an INTEGER PRIMARY KEY. */
  readonly table: string
  /**
   * Runs the application until it has called this many new rows safe, then kills it and its walsync
   * with SIGKILL.
   *
   * @returns the keys of the rows that it called safe
   */
  runUntilKilled(path: string, url: string, rows: number): Promise<readonly number[]>
}

export interface KillReport {
  readonly kills: number
  /** Rows that the application was told are safe, over all its lives. */
  readonly safe: number
  /** Rounds in which the database was lost with the processes, and came back from the replica. */
  readonly lostDisks: number
  readonly missing: readonly string[]
}

/** How many kills a test makes; the full run is WALSYNC_KILLS=100. */
export function killsOf(usual: number): number {
  return Number(process.env.WALSYNC_KILLS ?? usual)
}

/**
 * Kills an application, and its walsync, right after it was told that a row is safe; then looks for
 * every such row in a restored copy. Every third time the database itself is lost, too.
 */
export async function killAfterWait({
  kills,
  table,
  runUntilKilled,
}: KillLoop): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'walsync kills '))
  const path = join(folder, 'app.db')
  const url = join(folder, 'replica', 'app')
  const missing: string[] = []
  const safe = new Set<number>()
  let lostDisks = 0
  try {
    for (let kill = 1; kill <= kills; kill++) {
      for (const key of await runUntilKilled(path, url, 1 + (kill % 4))) safe.add(key)
      const copy = join(folder, `copy ${kill}.db`)
      await restoreIfMissing(copy, url, { integrityCheck: 'quick' })
      const restored = keysIn(copy, table)
      const lost = [...safe].filter((key) => !restored.has(key))
      if (lost.length > 0) missing.push(`kill ${kill}: the rows ${lost} were safe`)
      rmSync(copy)
      if (kill % 3 !== 0) continue
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
      lostDisks++
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { kills, safe: safe.size, lostDisks, missing }
}

function keysIn(path: string, table: string): Set<number> {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return new Set(
      db
        .prepare(`SELECT rowid AS key FROM ${table}`)
        .all()
        .map(({ key }) => Number(key)),
    )
  } finally {
    db.close()
  }
}
