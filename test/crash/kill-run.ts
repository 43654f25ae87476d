import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { provider } from '../../src/backends/file/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import { checkChain } from '../support/chain.ts'
import { contents } from '../support/replica-rig.ts'

const CLI = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const WRITER = fileURLToPath(new URL('../support/chain-writer.ts', import.meta.url))

export interface KillReport {
  /** SIGKILLs that hit a running process. */
  kills: number
  watcherKills: number
  writerKills: number
  /** Restores taken between kills and compared with the chain. */
  restores: number
  /** Rows committed by all rounds. */
  rows: number
  /** Times that a start went on without a new base, and with one. */
  resumed: number
  bases: number
  /** What went wrong; empty if nothing did. */
  problems: string[]
}

export interface KillOptions {
  readonly kills: number
  /** Kills on one database before the next one starts anew. Default 40. */
  readonly killsPerRound?: number
  readonly onRound?: (report: KillReport) => void
}

/**
 * Kills the watcher, the writer or both by SIGKILL at random moments, while a chain-writing process
 * goes on; restores between kills must be valid prefixes that never lose what was acknowledged, and
 * the last one must equal the source row by row.
 */
export async function runKills({
  kills,
  killsPerRound = 40,
  onRound,
}: KillOptions): Promise<KillReport> {
  const report: KillReport = {
    kills: 0,
    watcherKills: 0,
    writerKills: 0,
    restores: 0,
    rows: 0,
    resumed: 0,
    bases: 0,
    problems: [],
  }
  while (report.kills < kills) {
    const round = new Round(report)
    try {
      await round.run(Math.min(killsPerRound, kills - report.kills))
    } finally {
      await round.end()
    }
    onRound?.(report)
  }
  return report
}

class Round {
  readonly #report: KillReport
  readonly #folder = mkdtempSync(join(tmpdir(), 'walsync kill '))
  readonly #path = join(this.#folder, 'app.db')
  readonly #replica = join(this.#folder, 'replica')
  readonly #mode = Math.random() < 0.5 ? 'plain' : 'rough'
  #watcher: ChildProcess | undefined
  #writer: ChildProcess | undefined
  /** Highest TXID that a watcher said is in the store. */
  #acknowledged = 0n
  #rows = 0
  /** Has the present watcher found its place? A SIGTERM before that ends it as interrupted. */
  #ready = false

  constructor(report: KillReport) {
    this.#report = report
  }

  async run(kills: number): Promise<void> {
    const db = new DatabaseSync(this.#path)
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE start (x)')
    db.close()
    for (const target = this.#report.kills + kills; this.#report.kills < target; ) {
      this.#startMissing()
      // On a busy machine a start takes longer than any delay: half of the kills come after one.
      if (Math.random() < 0.5) await this.#started(10_000)
      await delay(300 + Math.random() * 900)
      await this.#killOne()
      if (Math.random() < 0.4) await delay(Math.random() * 300)
      if (Math.random() < 0.5) await this.#restoreAndCheck()
    }
    await this.#finish()
  }

  async end(): Promise<void> {
    for (const child of [this.#watcher, this.#writer]) {
      if (child?.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    if (this.#report.problems.length === 0) rmSync(this.#folder, { recursive: true, force: true })
  }

  async #started(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs
    while (!this.#ready && isRunning(this.#watcher) && performance.now() < until) await delay(20)
  }

  #startMissing(): void {
    if (!isRunning(this.#writer)) this.#writer = this.#startWriter()
    if (!isRunning(this.#watcher)) this.#watcher = this.#startWatcher()
  }

  #startWriter(): ChildProcess {
    const rate = String([10, 50, 400, 0][Math.floor(Math.random() * 4)])
    return spawn(process.execPath, [WRITER, this.#path, rate, '0', this.#mode], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }

  #startWatcher(): ChildProcess {
    this.#ready = false
    const args = [
      CLI,
      'watch',
      this.#path,
      '-b',
      this.#replica,
      '--json',
      '--sync-interval',
      '100ms',
    ]
    args.push('--snapshot-interval', '2s', '--max-wal-size', '8MB', '--log-level', 'error')
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let rest = ''
    child.stdout!.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) this.#onEvent(JSON.parse(line))
    })
    child.on('exit', (code) => {
      // Only a kill or our own SIGTERM may end it.
      if (code !== null && code !== 0)
        this.#problem(`the watcher ended by itself with code ${code}`)
    })
    return child
  }

  #onEvent(event: { type?: string; event?: string; txid?: string }): void {
    const type = event.type ?? event.event
    if (type === 'resumed') this.#report.resumed += 1
    if (type === 'base') this.#report.bases += 1
    if (type === 'resumed' || type === 'base') this.#ready = true
    if (event.txid === undefined || !['synced', 'base'].includes(type ?? '')) return
    const txid = BigInt(`0x${event.txid}`)
    if (txid > this.#acknowledged) this.#acknowledged = txid
  }

  async #killOne(): Promise<void> {
    const dice = Math.random()
    if (dice < 0.85) this.#report.watcherKills += await kill(this.#watcher)
    if (dice > 0.7) this.#report.writerKills += await kill(this.#writer)
    this.#report.kills += 1
  }

  async #restoreAndCheck(): Promise<void> {
    if (!existsSync(this.#replica)) return
    const acknowledged = this.#acknowledged
    const check = await this.#restore()
    if (check === undefined) return
    this.#report.restores += 1
    for (const problem of check.problems) this.#problem(`restore: ${problem}`)
    if (check.txid < acknowledged) {
      this.#problem(`restore reached TXID ${check.txid}; ${acknowledged} was acknowledged`)
    }
    if (check.rows < this.#rows)
      this.#problem(`restore has ${check.rows} rows; it had ${this.#rows}`)
    this.#rows = check.rows
  }

  async #restore(): Promise<
    (ReturnType<typeof checkChain> & { txid: bigint; all: string }) | undefined
  > {
    const url = new URL(`${pathToFileURL(this.#replica)}/app`)
    const store = await provider.open(url, {}, { create: true })
    const client = new ReplicaClient(store, 'ltx')
    if ((await client.list()).length === 0) return undefined
    const output = join(this.#folder, 'restored.db')
    const target = { kind: 'latest' } as const
    const { plan } = await restoreReplica(client, target, output, {
      force: true,
      integrityCheck: 'none',
    })
    await store.close()
    const db = new DatabaseSync(output)
    try {
      return { ...checkChain(db), txid: plan.txid, all: contents(db) }
    } finally {
      db.close()
      rmSync(output)
    }
  }

  /** Ends the writer, lets the watcher ship the rest, and compares all rows. */
  async #finish(): Promise<void> {
    await kill(this.#writer)
    if (!isRunning(this.#watcher)) this.#watcher = this.#startWatcher()
    const watcher = this.#watcher!
    await this.#started(30_000)
    await delay(300)
    const exited = once(watcher, 'exit')
    watcher.kill('SIGTERM')
    const [code] = await exited
    if (code !== 0) this.#problem(`the watcher ended with code ${code} after SIGTERM`)
    const restored = await this.#restore()
    const db = new DatabaseSync(this.#path)
    const source = checkChain(db)
    for (const problem of source.problems) this.#problem(`source: ${problem}`)
    for (const problem of restored?.problems ?? ['no replica']) this.#problem(`end: ${problem}`)
    if (restored?.all !== contents(db)) {
      this.#problem(
        `the restored database has ${restored?.rows} rows and differs from the source with ${source.rows}`,
      )
    }
    this.#report.rows += source.rows
    db.close()
  }

  #problem(text: string): void {
    this.#report.problems.push(`${text} (${this.#mode}, ${this.#folder})`)
  }
}

function isRunning(child: ChildProcess | undefined): boolean {
  return child !== undefined && child.exitCode === null && child.signalCode === null
}

/** 1 if the signal hit a running process. */
async function kill(child: ChildProcess | undefined): Promise<number> {
  if (child === undefined || !isRunning(child)) return 0
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  const [, signal] = await exited
  return signal === 'SIGKILL' ? 1 : 0
}
