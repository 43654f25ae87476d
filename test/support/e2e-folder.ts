import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ChainCheck, checkChain } from './chain.ts'
import type { CliSurroundings } from './e2e-cli.ts'
import { runJson } from './e2e-cli.ts'
import { contents } from './replica-rig.ts'

const WRITER = fileURLToPath(new URL('chain-writer.ts', import.meta.url))

/** A database as it was found: its chain, and all its rows as text. */
export interface FoundDatabase extends ChainCheck {
  readonly all: string
}

export interface Restored extends FoundDatabase {
  /** As the command reported it. */
  readonly txid: bigint
  readonly filesRead: number
}

/** A user's folder, with a space in its name: databases, processes that write to them, restored copies. */
export class E2eFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'walsync e2e '))
  readonly #writers = new Map<string, ChildProcess>()
  #restores = 0

  /** Makes `NAME.db` in WAL mode. */
  create(name: string): void {
    const db = new DatabaseSync(this.#file(name))
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE start (x)')
    db.close()
  }

  /** A process that commits to it until `stopWriter`. */
  startWriter(name: string, perSecond: number, mode: 'plain' | 'rough' = 'plain'): void {
    const args = [WRITER, this.#file(name), String(perSecond), '0', mode]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    this.#writers.set(name, child)
  }

  /** SIGKILL, as a crash would. @throws Error if the writer had ended by itself */
  async stopWriter(name: string): Promise<void> {
    const child = this.#writers.get(name)!
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the writer of ${name} ended by itself with ${child.exitCode}`)
    }
    child.kill('SIGKILL')
    await once(child, 'exit')
    this.#writers.delete(name)
  }

  /** Rows of the chain that are committed now. */
  rows(name: string): number {
    const db = new DatabaseSync(this.#file(name), { readOnly: true, timeout: 10_000 })
    try {
      const has = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'chain'").get()
      if (has === undefined) return 0
      const { rows } = db.prepare('SELECT count(*) AS rows FROM chain').get() as { rows: number }
      return rows
    } finally {
      db.close()
    }
  }

  /** Waits for a chain of more than so many rows. */
  async grown(name: string, rows: number): Promise<void> {
    const deadline = performance.now() + 30_000
    while (this.rows(name) <= rows) {
      if (performance.now() > deadline) throw new Error(`${name} has no ${rows} rows after 30 s`)
      await delay(50)
    }
  }

  source(name: string): FoundDatabase {
    return read(this.#file(name))
  }

  /** `walsync restore` into a new file, read and removed again. @throws Error unless it ends with 0 */
  async restore(
    name: string,
    words: readonly string[],
    where: Omit<CliSurroundings, 'cwd'>,
  ): Promise<Restored> {
    const output = `restored ${++this.#restores}.db`
    const result = await runJson<{ txid: string; filesRead: number }>(
      ['restore', name, '-o', output, ...words],
      { ...where, cwd: this.path },
    )
    const found = read(join(this.path, output))
    rmSync(join(this.path, output))
    return { ...found, txid: BigInt(`0x${result.txid}`), filesRead: result.filesRead }
  }

  async dispose(): Promise<void> {
    for (const child of this.#writers.values()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(this.path, { recursive: true, force: true })
  }

  #file(name: string): string {
    return join(this.path, `${name}.db`)
  }
}

/** Reads a database whole. */
export function read(path: string): FoundDatabase {
  const db = new DatabaseSync(path)
  try {
    return { ...checkChain(db), all: contents(db) }
  } finally {
    db.close()
  }
}
