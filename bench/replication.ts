// What replication costs and how far it lags, measured from outside on the built CLI, beside
// Litestream where it is installed. Each figure that is a comparison comes from one run.
// Usage: node bench/replication.ts [lag] [paced] [full] [idle] [restore]     (all by default)
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const WRITER = fileURLToPath(new URL('../test/support/chain-writer.ts', import.meta.url))
const SERVERS = process.env.WALSYNC_SERVERS ?? join(homedir(), '.cache/walsync-servers')
const LITESTREAM = join(SERVERS, 'litestream/bin/litestream')
const TICKS_PER_SECOND = 100

interface WriterResult {
  readonly commits: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

class Bed {
  readonly folder = mkdtempSync(join(tmpdir(), 'walsync-bench-'))
  readonly path = join(this.folder, 'app.db')
  readonly replica = join(this.folder, 'replica')
  #child: ChildProcess | undefined

  constructor() {
    const db = new DatabaseSync(this.path)
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE start (x); INSERT INTO start VALUES (1)')
    db.close()
    mkdirSync(this.replica)
  }

  async watch(program: string): Promise<void> {
    const [command, args] =
      program === 'walsync'
        ? [process.execPath, [CLI, 'watch', this.path, '-b', this.replica, '--log-level', 'error']]
        : [LITESTREAM, ['replicate', this.path, `file://${this.replica}/app`]]
    this.#child = spawn(command, args, { stdio: ['ignore', 'ignore', 'ignore'] })
    while (this.objects().length === 0) {
      if (this.#child.exitCode !== null)
        throw new Error(`${program} ended with ${this.#child.exitCode}`)
      await delay(20)
    }
    await delay(2000)
  }

  /** Files of level 0, where every commit lands first, and snapshots. */
  objects(): string[] {
    return [0, 9].flatMap((level) => {
      const folder = join(this.replica, 'app/ltx', String(level))
      return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.ltx')) : []
    })
  }

  /** CPU seconds used so far, and peak memory in MB. */
  usage(): { readonly cpu: number; readonly peakMb: number } {
    const stat = readFileSync(`/proc/${this.#child!.pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const status = readFileSync(`/proc/${this.#child!.pid}/status`, 'latin1')
    const peak = /VmHWM:\s+(\d+)/.exec(status)?.[1] ?? '0'
    return {
      cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
      peakMb: Number(peak) / 1024,
    }
  }

  async write(rate: number, seconds: number): Promise<WriterResult> {
    const child = spawn(process.execPath, [WRITER, this.path, String(rate), String(seconds)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    await once(child, 'exit')
    return JSON.parse(text)
  }

  async stop(): Promise<void> {
    if (this.#child === undefined) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await exited
    this.#child = undefined
  }

  async end(): Promise<void> {
    await this.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function lag(program: string): Promise<void> {
  const bed = new Bed()
  await bed.watch(program)
  const db = new DatabaseSync(bed.path, { timeout: 5000 })
  const insert = db.prepare('INSERT INTO start VALUES (?)')
  const lags: number[] = []
  for (let i = 0; i < 30; i++) {
    await delay(1100 + Math.random() * 900)
    const before = bed.objects().length
    insert.run(i)
    const committedAt = performance.now()
    while (bed.objects().length === before) await delay(0.5)
    lags.push(performance.now() - committedAt)
  }
  db.close()
  lags.sort((a, b) => a - b)
  print(program, 'lag of single commits, ms', {
    p50: at(lags, 0.5),
    p90: at(lags, 0.9),
    max: lags.at(-1)!,
  })
  await bed.end()
}

async function paced(program: string): Promise<void> {
  const aloneBed = new Bed()
  const alone = await aloneBed.write(2000, 6)
  await aloneBed.end()
  const bed = new Bed()
  await bed.watch(program)
  const before = bed.usage()
  const beside = await bed.write(2000, 6)
  await delay(1500)
  const after = bed.usage()
  print(program, '2,000 commits/s for 6 s', {
    'p50 ratio': beside.p50 / alone.p50,
    'p99 ratio': beside.p99 / alone.p99,
    'p50 alone, ms': alone.p50,
    'p99 alone, ms': alone.p99,
    'longest commit, ms': beside.max,
    'CPU, s': after.cpu - before.cpu,
    'peak RSS, MB': after.peakMb,
    files: bed.objects().length,
  })
  await bed.end()
}

async function fullSpeed(program: string): Promise<void> {
  const aloneBed = new Bed()
  const alone = await aloneBed.write(0, 10)
  await aloneBed.end()
  const bed = new Bed()
  await bed.watch(program)
  let wal = 0
  const sampler = setInterval(() => {
    wal = Math.max(wal, statSync(`${bed.path}-wal`, { throwIfNoEntry: false })?.size ?? 0)
  }, 20)
  const beside = await bed.write(0, 10)
  const endedAt = Date.now()
  await delay(4000)
  clearInterval(sampler)
  const folder = join(bed.replica, 'app/ltx/0')
  const newest = Math.max(
    ...readdirSync(folder).map((name) => statSync(join(folder, name)).ctimeMs),
  )
  print(program, 'writer at full speed for 10 s', {
    'speed against alone': beside.commits / beside.seconds / (alone.commits / alone.seconds),
    'commits/s alone': alone.commits / alone.seconds,
    'largest WAL, MB': wal / 2 ** 20,
    'longest commit, ms': beside.max,
    'last file after the end, s': Math.max(0, newest - endedAt) / 1000,
    'peak RSS, MB': bed.usage().peakMb,
  })
  await bed.end()
}

async function idle(program: string): Promise<void> {
  const bed = new Bed()
  await bed.watch(program)
  await delay(3000)
  const before = bed.usage()
  await delay(30_000)
  const after = bed.usage()
  print(program, 'idle for 30 s', {
    'CPU, %': ((after.cpu - before.cpu) / 30) * 100,
    'peak RSS, MB': after.peakMb,
  })
  await bed.end()
}

/** A database of 150 MB and its history, written by walsync, restored by each program in turn. */
async function restore(): Promise<void> {
  const bed = new Bed()
  const db = new DatabaseSync(bed.path)
  db.exec('CREATE TABLE filler (a BLOB)')
  const insert = db.prepare('INSERT INTO filler VALUES (?)')
  db.exec('BEGIN')
  for (let i = 0; i < 37_000; i++) insert.run(words(3900))
  db.exec('COMMIT')
  db.close()
  await bed.watch('walsync')
  await bed.write(500, 20)
  const files = bed.objects().length
  await bed.stop()
  const times: Record<string, number[]> = { walsync: [], litestream: [], cp: [] }
  for (let i = 0; i < 3; i++) {
    const output = join(bed.folder, `restored-${i}.db`)
    const runs: Record<string, [string, string[]]> = {
      walsync: [process.execPath, [CLI, 'restore', 'app', '-b', bed.replica, '-o', output]],
      litestream: [LITESTREAM, ['restore', '-o', output, `file://${bed.replica}/app`]],
      cp: ['sh', ['-c', `cp '${bed.path}' '${output}' && sync '${output}'`]],
    }
    for (const [name, [command, args]] of Object.entries(runs)) {
      if (!existsSync(LITESTREAM) && name === 'litestream') continue
      const startedAt = performance.now()
      const child = spawn(command, args, { stdio: 'ignore' })
      const [code] = await once(child, 'exit')
      if (code !== 0) throw new Error(`${name} ended with ${code}`)
      times[name]!.push((performance.now() - startedAt) / 1000)
      rmSync(output)
    }
  }
  const median = (name: string) => times[name]!.sort((a, b) => a - b)[1] ?? Number.NaN
  print('walsync', 'restore of 150 MB with history, s', {
    walsync: median('walsync'),
    litestream: median('litestream'),
    'cp + fsync': median('cp'),
    files,
  })
  await bed.end()
}

/** Text that compresses like text. */
function words(bytes: number): string {
  let text = ''
  while (text.length < bytes) text += `${Math.random().toString(36).slice(2, 8)} the quick `
  return text.slice(0, bytes)
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)]!
}

function print(program: string, what: string, figures: Record<string, number>): void {
  const text = Object.entries(figures).map(
    ([name, value]) => `${name} ${Number(value.toPrecision(3))}`,
  )
  console.log(`${program.padEnd(11)}${what}: ${text.join(' · ')}`)
}

const wanted = process.argv.slice(2)
const wants = (name: string) => wanted.length === 0 || wanted.includes(name)
const programs = ['walsync', ...(existsSync(LITESTREAM) ? ['litestream'] : [])]

if (wants('lag')) for (const program of programs) await lag(program)
if (wants('paced')) for (const program of programs) await paced(program)
if (wants('full')) for (const program of programs) await fullSpeed(program)
if (wants('idle')) for (const program of programs) await idle(program)
if (wants('restore')) await restore()
