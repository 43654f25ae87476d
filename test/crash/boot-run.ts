import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { provider } from '../../src/backends/file/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { restoreReplica } from '../../src/core/restore/restore.ts'
import { type CliEnd, runBuilt, spawnCli } from '../support/e2e-cli.ts'
import { until } from '../support/until.ts'

const SOURCE_CLI = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

/** What happened since the last boot; each comes once in an order, after a first boot from nothing. */
const INCIDENTS = [
  'nothing was kept',
  'restart',
  'volume lost',
  'bucket lost',
  'replica damaged',
  'volume lost, replica damaged',
] as const
type Incident = (typeof INCIDENTS)[number]

/** What a boot has to do, which the volume and the bucket decide. */
export const OUTCOMES = [
  'starts fresh',
  'continues',
  'restores',
  'begins anew',
  'continues beside damage',
  'refuses',
] as const
type Outcome = (typeof OUTCOMES)[number]

export interface BootReport {
  orders: number
  boots: number
  /** Boots that did what they had to, by what that was. */
  outcomes: Record<Outcome, number>
  /** Boots that ended with SIGKILL of walsync and of the application. */
  kills: number
  /** What went wrong; empty if nothing did. */
  problems: string[]
}

export interface BootOptions {
  readonly orders: number
  /** The CLI's entry. Default: the source. */
  readonly bin?: string | undefined
  readonly onOrder?: (report: BootReport) => void
}

/**
 * Boots `watch --restore-if-missing -- app` in random orders of everything that can have happened to its
 * volume and its bucket. The application tells what it found and adds rows; each time that must be
 * exactly what was there, or what the replica held, and afterwards a restore must give all of it.
 * Damage that a boot does not need to look at is found by `verify`; when the objects are brought back,
 * all of it can be restored as well.
 */
export async function runBoots({
  orders,
  bin = SOURCE_CLI,
  onOrder,
}: BootOptions): Promise<BootReport> {
  const outcomes = Object.fromEntries(OUTCOMES.map((name) => [name, 0]))
  const report = { orders: 0, boots: 0, outcomes, kills: 0, problems: [] } as unknown as BootReport
  while (report.orders < orders && report.problems.length === 0) {
    const host = new Host(bin, report)
    const order: Incident[] = ['restart', ...shuffled(INCIDENTS)]
    try {
      for (const incident of order) await host.boot(incident)
      report.orders++
      onOrder?.(report)
    } catch (error) {
      report.problems.push(`${order.join(', ')}: ${error instanceof Error ? error.message : error}`)
    } finally {
      host.end()
    }
  }
  return report
}

/** Tells what it finds, and adds as many rows as its argument says, in a transaction each. */
const APP = `
import { DatabaseSync } from 'node:sqlite'
import { writeFileSync } from 'node:fs'
const [, , boot, rows, end] = process.argv
const db = new DatabaseSync('app.db', { timeout: 10000 })
db.exec('PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, boot INTEGER)')
writeFileSync('found', JSON.stringify(db.prepare('SELECT id, boot FROM t ORDER BY id').all()))
const insert = db.prepare('INSERT INTO t (boot) VALUES (?)')
for (let i = 0; i < Number(rows); i++) insert.run(Number(boot))
writeFileSync('done', '')
if (end === 'stay') setInterval(() => undefined, 1000)
else db.close()
`

/** A machine with a volume and a bucket, and what both hold if all is right: the boot of each row. */
class Host {
  readonly #folder = mkdtempSync(join(tmpdir(), 'walsync-boots-'))
  readonly #replica = join(this.#folder, 'replica')
  readonly #bin: string
  readonly #report: BootReport
  #volume: readonly number[] | undefined
  #bucket: readonly number[] | undefined
  #isDamaged = false
  #boots = 0

  constructor(bin: string, report: BootReport) {
    this.#bin = bin
    this.#report = report
    writeFileSync(join(this.#folder, 'app.mjs'), APP)
  }

  /** @throws Error if the boot does not do what it has to */
  async boot(incident: Incident): Promise<void> {
    this.#happen(incident)
    const outcome = this.#expected()
    const what = `boot ${++this.#boots} (${incident}), which ${outcome}`
    const rows = 1 + Math.floor(Math.random() * 4)
    for (const name of ['found', 'done']) rmSync(join(this.#folder, name), { force: true })
    const isKilled = outcome !== 'refuses' && Math.random() < 0.3
    const end = await this.#run(rows, isKilled)
    this.#report.boots++
    if (isKilled) this.#report.kills++
    if (outcome === 'refuses') this.#checkRefusal(what, end)
    else await this.#checkStart(what, outcome, rows, end)
    this.#report.outcomes[outcome]++
    // The objects have been brought back, so that the next incident meets a running host.
    if (outcome === 'refuses') await this.boot('restart')
  }

  end(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #happen(incident: Incident): void {
    if (incident === 'nothing was kept' || incident.startsWith('volume lost')) {
      for (const name of readdirSync(this.#folder)) {
        if (/^\.?app\.db/.test(name)) rmSync(join(this.#folder, name), { recursive: true })
      }
      this.#volume = undefined
    }
    if (incident === 'nothing was kept' || incident === 'bucket lost') {
      rmSync(this.#replica, { recursive: true, force: true })
      this.#forgetDamage()
      this.#bucket = undefined
    }
    if (incident.endsWith('replica damaged') && this.#bucket !== undefined) this.#damage()
  }

  #expected(): Outcome {
    const [hasVolume, hasBucket] = [this.#volume !== undefined, this.#bucket !== undefined]
    if (hasVolume && !hasBucket) return 'begins anew'
    if (hasVolume) return this.#isDamaged ? 'continues beside damage' : 'continues'
    if (!hasBucket) return 'starts fresh'
    return this.#isDamaged ? 'refuses' : 'restores'
  }

  /** Spoils every object of the chain; the objects as they were are kept. */
  #damage(): void {
    cpSync(this.#replica, `${this.#replica} as it was`, { recursive: true })
    for (const name of readdirSync(this.#replica, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ltx')) continue
      const path = join(this.#replica, name)
      const bytes = readFileSync(path)
      bytes[bytes.length - 30]! ^= 0xff
      writeFileSync(path, bytes)
    }
    this.#isDamaged = true
  }

  /** Somebody brings the objects back as they were; what was added since stays. */
  #mend(): void {
    cpSync(`${this.#replica} as it was`, this.#replica, { recursive: true })
    this.#forgetDamage()
  }

  #forgetDamage(): void {
    rmSync(`${this.#replica} as it was`, { recursive: true, force: true })
    this.#isDamaged = false
  }

  /** Ends when the application does, or kills both when all of it is in the store. */
  async #run(rows: number, isKilled: boolean): Promise<CliEnd> {
    const where = { cwd: this.#folder, bin: this.#bin }
    const socket = join(this.#folder, 'control.sock')
    const args = [
      'watch',
      'app.db',
      '-b',
      './replica',
      '--json',
      '--no-probe',
      '--restore-if-missing',
    ]
    const app = [process.execPath, '--no-warnings', 'app.mjs', String(this.#boots), String(rows)]
    if (isKilled) app.push('stay')
    const { child, ended } = spawnCli([...args, '--socket', socket, '--', ...app], where)
    if (!isKilled) return await ended
    await until(() => existsSync(join(this.#folder, 'done')) || child.exitCode !== null, 120_000)
    const synced = await runBuilt(['sync', 'app', '--socket', socket, '--timeout', '60s'], where)
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim()
    child.kill('SIGKILL')
    for (const pid of children.split(' ').filter((text) => text !== '')) killIfThere(Number(pid))
    const end = await ended
    if (synced.code !== 0) throw new Error(`sync ended with ${synced.code}: ${synced.stderr}`)
    return end
  }

  #checkRefusal(what: string, { code, stderr }: CliEnd): void {
    const left = readdirSync(this.#folder).filter((name) => name.startsWith('app.db'))
    const isNamed = /The object \S+\.ltx is damaged/.test(stderr)
    const hasStarted = existsSync(join(this.#folder, 'found'))
    if (code !== 5 || !isNamed || hasStarted || left.length > 0) {
      throw new Error(`${what}: ended with ${code}, started ${hasStarted}, left ${left}: ${stderr}`)
    }
    this.#mend()
  }

  async #checkStart(what: string, outcome: Outcome, rows: number, end: CliEnd): Promise<void> {
    const before = this.#volume ?? this.#bucket ?? []
    const fail = (text: string) => new Error(`${what}: ${text}\n${end.stdout}${end.stderr}`)
    if (end.code !== 0 && end.signal !== 'SIGKILL') throw fail(`ended with ${end.code}`)
    const found = JSON.parse(readFileSync(join(this.#folder, 'found'), 'utf8')) as Row[]
    if (!same(found, before)) throw fail(`found ${JSON.stringify(found)}, expected ${before}`)
    const now = [...before, ...Array<number>(rows).fill(this.#boots)]
    const events = end.stdout
      .split('\n')
      .flatMap((line) => /"event":"([\w-]+)"/.exec(line)?.[1] ?? [])
    if (events.includes('restored') !== (outcome === 'restores')) throw fail('restored or not')
    if (outcome === 'begins anew' && !end.stdout.includes('the replica is empty')) {
      throw fail('it did not say that the replica is empty')
    }
    if (outcome === 'continues beside damage') {
      const args = ['verify', 'app', '-b', './replica']
      const { code } = await runBuilt(args, { cwd: this.#folder, bin: this.#bin })
      if (code !== 5) throw fail(`verify of the damaged replica ended with ${code}`)
      this.#mend()
    }
    const copy = await this.#restored()
    if (!same(copy, now)) throw fail(`a restore gives ${JSON.stringify(copy)}, expected ${now}`)
    this.#volume = now
    this.#bucket = now
  }

  async #restored(): Promise<Row[]> {
    const output = join(this.#folder, 'copy')
    const url = new URL(`file://${this.#replica}/app`)
    const store = await provider.open(url, {}, {})
    try {
      const options = { integrityCheck: 'full' } as const
      await restoreReplica(new ReplicaClient(store, 'ltx'), { kind: 'latest' }, output, options)
    } finally {
      await store.close()
    }
    const db = new DatabaseSync(output)
    try {
      return db.prepare('SELECT id, boot FROM t ORDER BY id').all() as unknown as Row[]
    } finally {
      db.close()
      rmSync(output)
    }
  }
}

interface Row {
  readonly id: number
  readonly boot: number
}

function same(rows: readonly Row[], boots: readonly number[]): boolean {
  return (
    rows.length === boots.length &&
    rows.every(({ id, boot }, i) => id === i + 1 && boot === boots[i])
  )
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value)
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended with its parent.
  }
}
