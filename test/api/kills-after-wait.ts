import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { restoreIfMissing } from '../../src/api/index.ts'

const APP = fileURLToPath(new URL('app-that-waits.ts', import.meta.url))

export interface KillReport {
  readonly kills: number
  /** Rows that the application was told are safe, over all its lives. */
  readonly safe: number
  /** Rounds in which the database was lost with the processes, and came back from the replica. */
  readonly lostDisks: number
  readonly missing: readonly string[]
}

/**
 * Kills an application, and its walsync, right after it was told that a row is safe; then looks for
 * that row in a restored copy. Every third time the database itself is lost, too.
 */
export async function killAfterWait(kills: number): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), 'walsync kills '))
  const path = join(folder, 'app.db')
  const url = join(folder, 'replica', 'app')
  const missing: string[] = []
  let safe = 0
  let lostDisks = 0
  try {
    for (let kill = 1; kill <= kills; kill++) {
      safe = await runUntilKilled([path, url], 1 + (kill % 4))
      const copy = join(folder, `copy ${kill}.db`)
      await restoreIfMissing(copy, url, { integrityCheck: 'quick' })
      const rows = countRows(copy)
      if (rows < safe) missing.push(`kill ${kill}: ${safe} rows were safe, ${rows} were restored`)
      rmSync(copy)
      if (kill % 3 !== 0) continue
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
      lostDisks++
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { kills, safe, lostDisks, missing }
}

/** @returns the last row that was called safe before the kill */
async function runUntilKilled(args: readonly string[], rows: number): Promise<number> {
  const app = spawn(process.execPath, [APP, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let pid = 0
  let last = 0
  let seen = 0
  for await (const line of createInterface({ input: app.stdout! })) {
    const [word, value] = line.split(' ')
    if (word === 'pid') pid = Number(value)
    if (word !== 'safe') continue
    last = Number(value)
    if (++seen === rows) killBoth(app, pid)
  }
  if (app.exitCode === null && app.signalCode === null) await once(app, 'exit')
  if (app.signalCode !== 'SIGKILL') throw new Error(`the application ended with ${app.exitCode}`)
  return last
}

function killBoth(app: ChildProcess, walsync: number): void {
  process.kill(walsync, 'SIGKILL')
  app.kill('SIGKILL')
}

function countRows(path: string): number {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return Number(db.prepare('SELECT coalesce(max(n), 0) AS n FROM t').get()!.n)
  } finally {
    db.close()
  }
}
