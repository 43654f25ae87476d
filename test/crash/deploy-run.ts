import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { provider } from '../../src/backends/file/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import { BUILT_CLI } from '../support/built-cli.ts'
import { createNumbered, isBeginning, type Numbered, readNumbered } from '../support/numbered.ts'
import { RaceWatcher } from './race-watcher.ts'

const WRITER = fileURLToPath(new URL('../support/race-writer.ts', import.meta.url))
const PATIENCE_MS = 60_000

/**
 * How a deploy goes: the old release ends in one of two ways, or the new one does. Each comes once
 * in as many deploys, in random order.
 */
export const ENDS = ['clean', 'clean', 'killed', 'app fails', 'newcomer killed'] as const
type End = (typeof ENDS)[number]

export interface DeployReport {
  deploys: number
  /** By how the deploy went. */
  ends: Record<End, number>
  /** SIGSTOPs that met a running watcher. */
  pauses: number
  commits: number
  /** From the old watcher's last upload, or from its kill, until the new one replicates; in milliseconds. */
  gapsAfterClean: number[]
  gapsAfterKill: number[]
  /** Full copies by successors of killed watchers. */
  copiesAfterKill: number
  /** What went wrong; empty if nothing did. */
  problems: string[]
}

export interface DeployOptions {
  readonly deploys: number
  /** The CLI's entry. Default: the source. */
  readonly bin?: string
  readonly onDeploy?: (report: DeployReport) => void
}

/**
 * Rolling deploys on one volume: each starts a watcher with its application beside the one that
 * runs. Then the old release is stopped or killed, or the new one fails. Pauses meet both. No
 * application may be ended by walsync, no full copy taken, no commit missing.
 */
export async function runDeploys(options: DeployOptions): Promise<DeployReport> {
  const run = new DeployRun(options.bin ?? BUILT_CLI)
  try {
    await run.start()
    for (let i = 0; i < options.deploys && run.report.problems.length === 0; i++) {
      await run.deploy()
      options.onDeploy?.(run.report)
    }
    await run.finish()
  } catch (error) {
    run.report.problems.push(String(error))
  } finally {
    await run.end()
  }
  return run.report
}

/** A watcher and the application that it started. */
class Release {
  readonly watcher: RaceWatcher
  /** How the release before it ended. */
  after: End | undefined
  readonly #pidFile: string

  constructor(index: number, bin: string, folder: string, fails: boolean) {
    this.#pidFile = join(folder, `app-${index}.pid`)
    const args = ['app.db', '-b', './replica', '--no-probe', '--no-prune', '--no-status']
    args.push('--log-level', 'error', '--sync-interval', '50ms', '--snapshot-interval', '1h')
    const app = fails
      ? ['-e', 'setTimeout(() => process.exit(3), Math.random() * 400)']
      : [WRITER, join(folder, 'app.db'), `release-${index}`, this.#pidFile]
    args.push('--', process.execPath, '--no-warnings', ...app)
    this.watcher = new RaceWatcher('app', bin, args, folder)
  }

  /** Process of the application; `undefined` before it runs. */
  get pid(): number | undefined {
    return existsSync(this.#pidFile) ? Number(readFileSync(this.#pidFile, 'utf8')) : undefined
  }

  get appIsAlive(): boolean {
    return this.pid !== undefined && existsSync(`/proc/${this.pid}`)
  }

  get replicates(): boolean {
    return this.watcher.isReady
  }

  /** As the end of a container: both at once. */
  async kill(): Promise<void> {
    let isOver = false
    const ended = this.watcher.kill('SIGKILL').then(() => {
      isOver = true
    })
    // An application that has just been started has not written its file yet, and holds the pipes.
    while (!isOver) {
      if (this.appIsAlive) process.kill(this.pid!, 'SIGKILL')
      await Promise.race([ended, delay(5)])
    }
  }
}

class DeployRun {
  readonly report: DeployReport = {
    deploys: 0,
    ends: { clean: 0, killed: 0, 'app fails': 0, 'newcomer killed': 0 },
    pauses: 0,
    commits: 0,
    gapsAfterClean: [],
    gapsAfterKill: [],
    copiesAfterKill: 0,
    problems: [],
  }
  readonly #bin: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'walsync deploy '))
  readonly #releases: Release[] = []
  #current: Release | undefined
  #ends: End[] = []

  constructor(bin: string) {
    this.#bin = bin
  }

  async start(): Promise<void> {
    const db = new DatabaseSync(join(this.#folder, 'app.db'))
    createNumbered(db)
    db.close()
    const first = this.#release()
    await this.#until('the first release', () => first.replicates && first.appIsAlive)
    this.#current = first
  }

  async deploy(): Promise<void> {
    const old = this.#current!
    const end = this.#nextEnd()
    const newcomer = this.#release(end === 'app fails')
    const pauses = [old, newcomer].map(({ watcher }) => this.#pauseSometimes(watcher))
    if (end === 'app fails') {
      await newcomer.watcher.ended
      if (newcomer.watcher.end !== '3') this.#problem(`a failed app's ${newcomer.watcher.end}`)
    } else {
      const isUp = () => newcomer.appIsAlive && newcomer.watcher.has('standby')
      if (end === 'newcomer killed') await delay(Math.random() * 2000)
      else await this.#until('the new release', isUp)
    }
    await Promise.all(pauses)
    if (!old.watcher.isAlive || !old.appIsAlive) this.#problem('the old release ended by itself')

    if (end === 'newcomer killed') await newcomer.kill()
    if (end === 'clean' || end === 'killed') await this.#replace(old, newcomer, end)
    this.report.ends[end] += 1
    this.report.deploys += 1
  }

  async #replace(old: Release, newcomer: Release, end: 'clean' | 'killed'): Promise<void> {
    newcomer.after = end
    const killedAt = Date.now()
    await (end === 'clean' ? old.watcher.kill('SIGTERM') : old.kill())
    await this.#until('the new release replicates', () => newcomer.replicates)
    const resumedAt = newcomer.watcher.timeOf('resumed', 'base')!
    // The old one ships what its application committed last, and then gives its lock away.
    const gap = end === 'clean' ? resumedAt - old.watcher.lastShippedAt : resumedAt - killedAt
    const gaps = end === 'clean' ? this.report.gapsAfterClean : this.report.gapsAfterKill
    gaps.push(gap)
    if (!newcomer.appIsAlive) this.#problem('the new application ended')
    this.#current = newcomer
  }

  /** Stops all, restores, and compares. */
  async finish(): Promise<void> {
    await this.#current?.watcher.kill('SIGTERM')
    const source = this.#read('app.db')
    this.report.commits = source.commits.length
    const url = new URL(`${pathToFileURL(join(this.#folder, 'replica'))}/app`)
    const store = await provider.open(url, {}, {})
    try {
      const output = join(this.#folder, 'restored.db')
      await restoreReplica(new ReplicaClient(store, 'ltx'), { kind: 'latest' }, output, {})
    } finally {
      await store.close()
    }
    const restored = this.#read('restored.db')
    for (const problem of [...source.problems, ...restored.problems]) this.#problem(problem)
    if (!isBeginning(restored, source) || restored.commits.length !== source.commits.length) {
      this.#problem(`${restored.commits.length} commits restored of ${source.commits.length}`)
    }
    const events = this.#releases.flatMap(({ watcher }) => watcher.events)
    for (const { watcher, after } of this.#releases.slice(1)) {
      const bases = watcher.events.filter(({ event }) => event === 'base')
      // A killed watcher cannot keep the log for its successor, so a busy application may restart it.
      if (after === 'killed') this.report.copiesAfterKill += bases.length
      else for (const { reason } of bases) this.#problem(`a full copy: ${reason}`)
    }
    const fenced = events.filter(({ event }) => event === 'fenced').length
    if (fenced > 0) this.#problem(`${fenced} watchers were fenced`)
    for (const { watcher } of this.#releases) this.report.pauses += watcher.pauses
  }

  async end(): Promise<void> {
    for (const release of this.#releases) await release.kill()
    if (this.report.problems.length === 0) rmSync(this.#folder, { recursive: true, force: true })
  }

  #release(fails = false): Release {
    const release = new Release(this.#releases.length, this.#bin, this.#folder, fails)
    this.#releases.push(release)
    return release
  }

  #nextEnd(): End {
    if (this.#ends.length === 0) this.#ends = [...ENDS]
    return this.#ends.splice(Math.floor(Math.random() * this.#ends.length), 1)[0]!
  }

  async #pauseSometimes(watcher: RaceWatcher): Promise<void> {
    if (Math.random() < 0.5) return
    await delay(Math.random() * 1500)
    watcher.pause()
    await delay(Math.random() * 500)
    watcher.wake()
  }

  async #until(what: string, holds: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`${what}: not within ${PATIENCE_MS} ms`)
      await delay(2)
    }
  }

  #problem(text: string): void {
    this.report.problems.push(`${text} (deploy ${this.report.deploys + 1}, ${this.#folder})`)
  }

  #read(name: string): Numbered {
    const db = new DatabaseSync(join(this.#folder, name))
    try {
      return readNumbered(db)
    } finally {
      db.close()
    }
  }
}
