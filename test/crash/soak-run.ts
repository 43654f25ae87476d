import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { ChainWriter } from '../support/chain.ts'
import { killProcess, pick, runCli, SoakWatcher, startWriter } from './soak-processes.ts'
import { SoakReplica } from './soak-replica.ts'
import { COMPACT_FLAGS, PRUNE_FLAGS } from './soak-settings.ts'

const NAMES = ['a', 'b', 'c', 'd']
/** How long a step may take on a loaded machine before it counts as hanging, in milliseconds. */
const HANGS_MS = 60_000

export interface SoakReport {
  rounds: number
  restores: number
  /** Rows committed, all databases together. */
  rows: number
  /** What happened, by kind: each must have happened for a long run to mean anything. */
  readonly counts: Record<string, number>
  readonly problems: string[]
}

/**
 * Applications that write in every way they do, a watcher that is paused, killed, ended and
 * replaced, and one-shot commands beside it; then what the replicas hold is held against the sources.
 */
export class Soak {
  readonly report: SoakReport = { rounds: 0, restores: 0, rows: 0, counts: {}, problems: [] }
  readonly folder = mkdtempSync(join(tmpdir(), 'walsync soak '))
  readonly #replicas = NAMES.map((name) => new SoakReplica(this.folder, name))
  readonly #writers = new Map<string, ChildProcess>()
  readonly #cli = new Set<Promise<void>>()
  #watcher: SoakWatcher | undefined

  constructor() {
    for (const { path } of this.#replicas) {
      const db = new DatabaseSync(path)
      db.exec('PRAGMA journal_mode = WAL')
      new ChainWriter(db)
      db.close()
    }
  }

  async round(): Promise<void> {
    const watcher = await this.#watching()
    for (const { name, path } of this.#replicas) {
      if (!this.#writers.has(name)) this.#writers.set(name, startWriter(path))
    }
    const until = Date.now() + 2000 + Math.random() * 5000
    while (Date.now() < until) {
      await this.#disturb(watcher)
      await delay(Math.random() * 400)
    }
    await pick([
      this.#kill,
      this.#kill,
      this.#end,
      this.#quiesce,
      this.#quiesce,
      this.#replace,
    ]).call(this, watcher)
    this.#collect(watcher)
    this.report.rounds += 1
  }

  /** Everything comes to rest: the sources are in the replicas, and nobody does anything any more. */
  async finish(): Promise<void> {
    const watcher = await this.#watching()
    await this.#quiesce(watcher)
    await delay(30_000)
    const [before, cpuBefore] = [await watcher.ask('status'), watcher.cpuMs()]
    await delay(5000)
    const [after, cpuMs] = [await watcher.ask('status'), watcher.cpuMs() - cpuBefore]
    if (after!.calls !== before!.calls) {
      this.#problem(`${after!.calls - before!.calls} requests in 5 idle seconds`)
    }
    if (cpuMs > 500) this.#problem(`${cpuMs} ms of processor time in 5 idle seconds`)
    await this.#end(watcher)
    this.#collect(watcher)
    for (const replica of this.#replicas) {
      await replica.checkPoints(12)
      this.report.rows += replica.sample()
    }
    this.#gather()
  }

  async close(): Promise<void> {
    for (const writer of this.#writers.values()) await killProcess(writer)
    this.#watcher?.signal('SIGKILL')
    if (this.report.problems.length === 0) rmSync(this.folder, { recursive: true, force: true })
  }

  async #watching(): Promise<SoakWatcher> {
    if (this.#watcher?.isAlive === true) return this.#watcher
    const watcher = new SoakWatcher(this.folder, NAMES)
    this.#watcher = watcher
    this.#count('start')
    await this.#inTime(
      'the start',
      until(() => watcher.isReady || !watcher.isAlive),
    )
    if (!watcher.isAlive) {
      const { error } = watcher.events.findLast(({ type }) => type === 'ended') ?? {}
      this.#problem(`the watcher ended at its start: ${error} ${watcher.stderr}`)
    }
    return watcher
  }

  async #disturb(watcher: SoakWatcher): Promise<void> {
    const dice = Math.random()
    if (dice < 0.15) await this.#pause(watcher)
    else if (dice < 0.3) await this.#killWriter()
    else if (dice < 0.45) this.#runCli()
    else if (dice < 0.7) await this.#promise(watcher)
    else if (dice < 0.8) await pick(this.#replicas).checkLatest()
  }

  async #pause(watcher: SoakWatcher): Promise<void> {
    this.#count('pause')
    watcher.signal('SIGSTOP')
    await delay(Math.random() * 600)
    watcher.signal('SIGCONT')
  }

  async #killWriter(): Promise<void> {
    const name = pick(NAMES)
    const writer = this.#writers.get(name)
    if (writer === undefined) return
    this.#count('writer-kill')
    await killProcess(writer)
    await delay(Math.random() < 0.3 ? 1500 * Math.random() : 0)
    this.#writers.set(name, startWriter(join(this.folder, `${name}.db`)))
  }

  #runCli(): void {
    if (this.#cli.size >= 2) return
    const name = pick(NAMES)
    const url = join(this.folder, 'replica')
    const args = pick([
      ['prune', name, '-b', url, ...PRUNE_FLAGS],
      ['compact', name, '-b', url, ...COMPACT_FLAGS],
      ['snapshot', `${name}.db`, '-b', url],
      ['verify', name, '-b', url],
    ])
    const running = runCli(args, this.folder).then(({ code, output }) => {
      this.#cli.delete(running)
      this.#count(`${args[0]}-${code}`)
      // Two that work on one replica at a time may take objects from one another.
      const gone = code === '1' && output.includes('was listed, but it is gone')
      if (code !== '0' && !gone) this.#problem(`${args.join(' ')} ended with ${code}: ${output}`)
    })
    this.#cli.add(running)
  }

  /** What is committed now must be in every later restore. */
  async #promise(watcher: SoakWatcher): Promise<void> {
    const rows = this.#replicas.map((replica) => replica.sample())
    const answer = await this.#inTime('a sync', watcher.ask('sync'))
    if (answer === undefined) return
    this.#count('sync')
    for (const [i, replica] of this.#replicas.entries()) replica.floor = rows[i]!
  }

  async #kill(watcher: SoakWatcher): Promise<void> {
    this.#count('kill')
    watcher.signal('SIGKILL')
    await watcher.ended
    await this.#settleCli()
    await this.#check(2)
    // What happens while nobody looks.
    if (Math.random() < 0.5) await this.#killWriter()
  }

  async #end(watcher: SoakWatcher): Promise<void> {
    this.#count('end')
    await this.#killWriters()
    await this.#settleCli()
    watcher.signal('SIGTERM')
    const code = await this.#inTime('the end', watcher.ended)
    if (code !== '0') this.#problem(`the watcher ended with ${code}: ${watcher.stderr}`)
    for (const replica of this.#replicas) await replica.checkExact()
    await this.#check(1)
  }

  async #quiesce(watcher: SoakWatcher): Promise<void> {
    this.#count('quiesce')
    await this.#killWriters()
    await this.#promise(watcher)
    for (const replica of this.#replicas) await replica.checkExact()
  }

  /** Another one is started while this one is paused; then both go on. */
  async #replace(old: SoakWatcher): Promise<void> {
    this.#count('replace')
    await this.#settleCli()
    old.signal('SIGSTOP')
    this.#watcher = undefined
    const watcher = await this.#watching()
    await delay(Math.random() * 1000)
    old.signal('SIGCONT')
    await this.#promise(watcher)
    const code = await this.#inTime('the end of the older watcher', old.ended)
    if (code === undefined) old.signal('SIGKILL')
    this.#count(`older-${code}`)
    if (code !== '75') this.#problem(`the older watcher ended with ${code}: ${old.stderr}`)
    await this.#check(1)
  }

  async #check(points: number): Promise<void> {
    for (const replica of this.#replicas) {
      await replica.checkLatest()
      if (this.#watcher?.isAlive !== true) await replica.checkPoints(points)
    }
    for (const name of readdirSync(this.folder)) {
      if (name.startsWith('restored-')) rmSync(join(this.folder, name))
    }
    this.#gather()
  }

  async #killWriters(): Promise<void> {
    for (const writer of this.#writers.values()) await killProcess(writer)
    this.#writers.clear()
  }

  async #settleCli(): Promise<void> {
    await Promise.all(this.#cli)
  }

  /** What a watcher told, in counts; and all of it in a file beside the databases. */
  #collect(watcher: SoakWatcher): void {
    for (const event of watcher.events.splice(0)) {
      this.#count(event.type === 'reopened' ? `reopened-${event.proven}` : event.type)
      writeFileSync(join(this.folder, 'events.log'), `${JSON.stringify(event)}\n`, { flag: 'a' })
      if (UNEXPECTED.has(event.type)) this.#problem(JSON.stringify(event))
    }
    if (watcher.stderr !== '') this.#problem(`the watcher wrote: ${watcher.stderr}`)
  }

  #gather(): void {
    for (const replica of this.#replicas) {
      this.report.problems.push(...replica.problems.splice(0))
      this.report.restores += replica.restores
      replica.restores = 0
      for (; replica.unpublished > 0; replica.unpublished--) this.#count('unpublished-commit')
    }
  }

  async #inTime<T>(what: string, work: Promise<T>): Promise<T | undefined> {
    const timer = new AbortController()
    const late = delay(HANGS_MS, 'late' as const, { signal: timer.signal }).catch(() => 'late')
    const result = await Promise.race([work.then((value) => ({ value })), late])
    timer.abort()
    if (typeof result === 'object') return result.value
    this.#problem(`${what} took more than ${HANGS_MS / 1000} s`)
    return undefined
  }

  #count(kind: string): void {
    this.report.counts[kind] = (this.report.counts[kind] ?? 0) + 1
  }

  #problem(text: string): void {
    this.report.problems.push(`${new Date().toISOString()} ${text}`)
  }
}

/** Nothing in a soak gives a reason for these. */
const UNEXPECTED: ReadonlySet<string> = new Set([
  'unshipped',
  'store-error',
  'delete-failed',
  'retention-blocked',
  'damage-found',
  'spool-full',
])

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(10)
}
