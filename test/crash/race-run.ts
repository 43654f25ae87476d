import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { provider } from '../../src/backends/file/index.ts'
import { type TXID, txid } from '../../src/core/ltx/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { epochOf } from '../../src/core/replica/writer-claim/claim-rules.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import type { RestoreTarget } from '../../src/core/restore/restore-target.ts'
import { BUILT_CLI } from '../support/built-cli.ts'
import { createNumbered, isBeginning, type Numbered, readNumbered } from '../support/numbered.ts'
import { RaceWatcher } from './race-watcher.ts'

const WRITER = fileURLToPath(new URL('../support/race-writer.ts', import.meta.url))
/** How long two watchers may go on side by side once nothing stops them, in milliseconds. */
const SETTLE_MS = 60_000

export interface RaceReport {
  /** Times that a watcher was started beside another one, or several were. */
  races: number
  /** SIGSTOPs that met a running watcher. */
  pauses: number
  kills: number
  /** Watchers that ended with 75. */
  fenced: number
  /** Watchers that told that they took a slot from an older one. */
  tookOver: number
  /** Starts that could go on, and that took a base. */
  resumed: number
  bases: number
  /** Times that an older writer had got the slot first. */
  forestalled: number
  /** Races after which nobody was left. */
  nobody: number
  restores: number
  /** Acknowledged TXIDs, all together. */
  acknowledged: number
  commits: number
  /** What went wrong; empty if nothing did. */
  problems: string[]
}

export interface RaceOptions {
  readonly races: number
  /** Races in one folder before the next one begins anew. Default 12. */
  readonly racesPerRound?: number
  /** Folders at one time. Default 1. */
  readonly parallel?: number
  /** The CLI's entry. Default: the source. */
  readonly bin?: string
  readonly onRound?: (report: RaceReport) => void
}

/**
 * Starts watchers beside one another on one replica, of one database or of two copies, pauses and
 * kills them at random moments while processes commit numbered rows. In the end one of them may be
 * left, the others have ended with 75, and every state that was acknowledged restores to the
 * beginning of one database's history.
 */
export async function runRaces(options: RaceOptions): Promise<RaceReport> {
  const { races, racesPerRound = 12, parallel = 1, bin = BUILT_CLI, onRound } = options
  const report: RaceReport = {
    races: 0,
    pauses: 0,
    kills: 0,
    fenced: 0,
    tookOver: 0,
    resumed: 0,
    bases: 0,
    forestalled: 0,
    nobody: 0,
    restores: 0,
    acknowledged: 0,
    commits: 0,
    problems: [],
  }
  let begun = 0
  const worker = async (): Promise<void> => {
    while (begun < races) {
      const round = new Round(report, bin, begun % (2 * racesPerRound) < racesPerRound)
      const count = Math.min(racesPerRound, races - begun)
      begun += count
      try {
        await round.run(count)
      } finally {
        await round.end()
      }
      onRound?.(report)
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return report
}

class Round {
  readonly #report: RaceReport
  readonly #bin: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'walsync race '))
  /** Names of the databases: one, or two that have their beginning in common. */
  readonly #names: readonly string[]
  readonly #writers: ChildProcess[] = []
  readonly #watchers: RaceWatcher[] = []
  readonly #problems: string[] = []

  constructor(report: RaceReport, bin: string, isOneDatabase: boolean) {
    this.#report = report
    this.#bin = bin
    this.#names = isOneDatabase ? ['one'] : ['one', 'two']
  }

  async run(races: number): Promise<void> {
    const db = new DatabaseSync(this.#path('one'))
    createNumbered(db)
    if (this.#names.includes('two')) {
      for (const suffix of ['', '-wal']) {
        execFileSync('cp', [this.#path('one') + suffix, this.#path('two') + suffix])
      }
    }
    db.close()
    mkdirSync(join(this.#folder, 'replica'))
    for (const name of this.#names) this.#startWriter(name)
    let incumbent: RaceWatcher | undefined
    for (let i = 0; i < races && this.#problems.length === 0; i++) {
      incumbent ??= await this.#start(1)
      incumbent = await this.#race(incumbent)
      this.#report.races += 1
    }
    await this.#finish(incumbent)
  }

  async end(): Promise<void> {
    for (const watcher of this.#watchers) await watcher.kill('SIGKILL')
    for (const writer of this.#writers) {
      writer.kill('SIGKILL')
      if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit')
    }
    this.#report.problems.push(
      ...this.#problems.map((text) => `${text} (${this.#names}, ${this.#folder})`),
    )
    if (this.#problems.length === 0) rmSync(this.#folder, { recursive: true, force: true })
  }

  /** One or two newcomers beside the incumbent. Returns who is left. */
  async #race(incumbent: RaceWatcher): Promise<RaceWatcher | undefined> {
    const paused = Math.random() < 0.5
    if (paused) await after(Math.random() * 300, () => incumbent.pause())
    const count = Math.random() < 0.2 ? 2 : 1
    const newcomers = Array.from({ length: count }, () => this.#watch(pick(this.#names)))
    const all = [incumbent, ...newcomers]
    const killed = Math.random() < 0.2 ? pick(all) : undefined
    const moments = all.flatMap((watcher) => {
      const times = Math.floor(Math.random() * 3)
      return Array.from({ length: times }, () => this.#disturb(watcher, newcomers[0]!))
    })
    if (killed !== undefined) moments.push(this.#killLater(killed, newcomers[0]!))
    await Promise.all(moments)
    for (const watcher of all) watcher.wake()
    return await this.#settle(all)
  }

  /** A pause at a random moment around the newcomer's claim. */
  async #disturb(watcher: RaceWatcher, newcomer: RaceWatcher): Promise<void> {
    await this.#around(newcomer)
    watcher.pause()
    await delay(20 + Math.random() * 300)
    watcher.wake()
  }

  async #killLater(watcher: RaceWatcher, newcomer: RaceWatcher): Promise<void> {
    await this.#around(newcomer)
    if (!watcher.isAlive) return
    await watcher.kill('SIGKILL')
    this.#report.kills += 1
  }

  async #around(newcomer: RaceWatcher): Promise<void> {
    const until = performance.now() + 3000
    const waitsFor = pick(['nothing', 'claimed', 'took-over'])
    if (waitsFor === 'nothing') return await delay(Math.random() * 900)
    while (!newcomer.has(waitsFor) && newcomer.isAlive && performance.now() < until) await delay(2)
    await delay(Math.random() * 60)
  }

  /** Waits until at most one is alive, and that one keeps the replica up to date. */
  async #settle(all: readonly RaceWatcher[]): Promise<RaceWatcher | undefined> {
    const until = performance.now() + SETTLE_MS
    let alive: RaceWatcher[]
    do {
      await delay(10)
      alive = all.filter((watcher) => watcher.isAlive)
      if (alive.length === 0 || (alive.length === 1 && alive[0]!.isReady)) break
    } while (performance.now() < until)
    if (alive.length > 1) {
      const who = alive.map((w) => `${w.name} ${w.pid} ${w.lastEvents(5)}`).join(', ')
      this.#problems.push(`${alive.length} watchers are alive: ${who}`)
    } else if (alive[0]?.isReady === false) this.#problems.push('who is left is not ready')
    for (const watcher of all) {
      if (watcher.isAlive) continue
      await watcher.ended
      if (watcher.end === '75' || watcher.end === 'SIGKILL') continue
      this.#problems.push(`a watcher ended with ${watcher.end}: ${watcher.stderr.slice(-1000)}`)
    }
    if (alive.length === 0) this.#report.nobody += 1
    return alive[0]
  }

  async #start(index: number): Promise<RaceWatcher> {
    const watcher = this.#watch(this.#names[index % this.#names.length]!)
    const until = performance.now() + SETTLE_MS
    while (!watcher.isReady && watcher.isAlive && performance.now() < until) await delay(10)
    if (!watcher.isReady) this.#problems.push(`no start: ${watcher.end} ${watcher.stderr}`)
    return watcher
  }

  /**
   * Each watcher has a name of its own for the replica. Watchers of one database that give the same
   * name hand over and never race; those that cannot see each other's lock do.
   */
  #watch(name: string): RaceWatcher {
    const replica = `replica-${this.#watchers.length}`
    symlinkSync('replica', join(this.#folder, replica))
    const interval = pick(['10ms', '50ms', '200ms'])
    const args = [`${name}.db`, '--name', 'app', '-b', `./${replica}`, '--no-prune', '--no-probe']
    args.push('--sync-interval', interval, '--poll-interval', '100ms', '--log-level', 'error')
    args.push('--no-status', '--snapshot-interval', '3s', '--levels', '2s,10s')
    const watcher = new RaceWatcher(name, this.#bin, args, this.#folder)
    this.#watchers.push(watcher)
    return watcher
  }

  #startWriter(name: string): void {
    const args = [WRITER, this.#path(name), name]
    this.#writers.push(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }))
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.db`)
  }

  /** Ends all, restores, and holds what comes against the databases. */
  async #finish(last: RaceWatcher | undefined): Promise<void> {
    for (const writer of this.#writers) {
      writer.kill('SIGKILL')
      await once(writer, 'exit')
    }
    if (last !== undefined) {
      await delay(300)
      await last.kill('SIGTERM')
      if (last.end !== '0' && last.end !== '75') {
        this.#problems.push(`the last one ended with ${last.end}: ${last.stderr.slice(-1000)}`)
      }
    }
    this.#count()
    const sources = new Map(this.#names.map((name) => [name, this.#read(this.#path(name))]))
    for (const [name, { problems, commits }] of sources) {
      this.#report.commits += commits.length
      for (const problem of problems) this.#problems.push(`the database ${name}: ${problem}`)
    }
    const url = new URL(`${pathToFileURL(join(this.#folder, 'replica'))}/app`)
    const store = await provider.open(url, {}, {})
    try {
      await this.#checkReplica(new ReplicaClient(store, 'ltx'), sources, last)
    } finally {
      await store.close()
    }
  }

  #count(): void {
    for (const watcher of this.#watchers) {
      const has = (event: string) => (watcher.has(event) ? 1 : 0)
      this.#report.pauses += watcher.pauses
      this.#report.fenced += watcher.end === '75' ? 1 : 0
      this.#report.tookOver += has('took-over')
      this.#report.resumed += has('resumed')
      this.#report.bases += has('base')
      const reasons = watcher.events.filter(({ reason }) => reason?.startsWith('an older writer'))
      this.#report.forestalled += reasons.length + has('adopted')
      this.#report.acknowledged += watcher.acknowledged.length
    }
  }

  async #checkReplica(
    client: ReplicaClient,
    sources: ReadonlyMap<string, Numbered>,
    last: RaceWatcher | undefined,
  ): Promise<void> {
    const slots = (await client.list()).filter(({ level }) => level === 0)
    let epoch = 0
    for (const file of slots) {
      const found = epochOf((await client.readHeader(file)).nodeId)
      if (found < epoch) {
        this.#problems.push(`slot ${file.maxTxid} is of epoch ${found}, after epoch ${epoch}`)
      }
      epoch = found
    }
    const latest = await this.#restore(client, { kind: 'latest' })
    const source = last && last.end === '0' ? sources.get(last.name) : undefined
    this.#judge('latest', latest, [...sources.values()])
    if (source !== undefined && latest.commits.length !== source.commits.length) {
      this.#problems.push(
        `latest has ${latest.commits.length} commits, the database ${source.commits.length}`,
      )
    }
    let rows = 0
    for (const [target, owner] of this.#samples(slots.map(({ maxTxid }) => maxTxid))) {
      const found = await this.#restore(client, { kind: 'txid', txid: target })
      const histories = owner === undefined ? [...sources.values()] : [sources.get(owner)!]
      this.#judge(`TXID ${target}`, found, histories)
      if (this.#names.length === 1 && found.commits.length < rows) {
        this.#problems.push(
          `TXID ${target} has ${found.commits.length} commits, one before ${rows}`,
        )
      }
      rows = found.commits.length
    }
  }

  /** Some slots, and of each watcher what it acknowledged last and one more; ascending. With the database whose history it must be. */
  #samples(slots: readonly TXID[]): (readonly [TXID, string | undefined])[] {
    const samples = new Map<TXID, string | undefined>()
    for (let i = 0; i < 5 && slots.length > 0; i++) samples.set(pick(slots), undefined)
    for (const { acknowledged, name } of this.#watchers) {
      if (acknowledged.length === 0) continue
      samples.set(txid(acknowledged.at(-1)!), name)
      samples.set(txid(pick(acknowledged)), name)
    }
    return [...samples].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  #judge(what: string, found: Numbered, histories: readonly Numbered[]): void {
    for (const problem of found.problems) this.#problems.push(`${what}: ${problem}`)
    if (histories.some((history) => isBeginning(found, history))) return
    this.#problems.push(
      `${what}: ${found.commits.length} commits are no beginning of the history they should be of`,
    )
  }

  async #restore(client: ReplicaClient, target: RestoreTarget): Promise<Numbered> {
    const output = join(this.#folder, 'restored.db')
    try {
      await restoreReplica(client, target, output, { force: true, integrityCheck: 'none' })
    } catch (error) {
      const where = target.kind === 'txid' ? target.txid : target.kind
      this.#problems.push(`restore of ${where}: ${error}`)
      return { commits: [], problems: [] }
    }
    this.#report.restores += 1
    return this.#read(output)
  }

  #read(path: string): Numbered {
    // The process of the writer may still be ending.
    const db = new DatabaseSync(path, { timeout: 10_000 })
    try {
      return readNumbered(db)
    } finally {
      db.close()
    }
  }
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)]!
}

async function after(ms: number, work: () => void): Promise<void> {
  await delay(ms)
  work()
}
