// Many databases in one process: time until all are replicated, then CPU and memory while all are
// idle, and whether writes to some of them still get through. Litestream beside it where it is installed.
// Usage: node bench/fleet.ts [databases, default 1000] [idle seconds, default 30]
import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const SERVERS = process.env.WALSYNC_SERVERS ?? join(homedir(), '.cache/walsync-servers')
const LITESTREAM = join(SERVERS, 'litestream/bin/litestream')
const TICKS_PER_SECOND = 100

const count = Number(process.argv[2] ?? 1000)
const idleSeconds = Number(process.argv[3] ?? 30)
const only = process.argv[4]

const programs = ['walsync', ...(existsSync(LITESTREAM) ? ['litestream'] : [])]
for (const program of programs) {
  if (only !== undefined && only !== program) continue
  console.log(JSON.stringify(await measure(program)))
}

async function measure(program: string): Promise<Record<string, unknown>> {
  const folder = mkdtempSync(join(tmpdir(), 'walsync-fleet-'))
  const databases = Array.from({ length: count }, (_, i) => join(folder, `db${i}.db`))
  for (const path of databases) makeDatabase(path)
  const replica = join(folder, 'replica')
  mkdirSync(replica)
  const startedAt = performance.now()
  const child = start(program, databases, replica, folder)
  try {
    while (replicas(program, replica) < count) {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
      await delay(50)
    }
    const startSeconds = (performance.now() - startedAt) / 1000
    const startCpu = usage(child).cpu
    await delay(15_000)
    const before = usage(child)
    await delay(idleSeconds * 1000)
    const after = usage(child)
    const lag = await lagOf(program, databases, replica)
    return {
      program,
      databases: count,
      startSeconds: round(startSeconds),
      startCpuSeconds: round(startCpu),
      idleCpuPercent: round(((after.cpu - before.cpu) / idleSeconds) * 100),
      idleRssMb: round(after.rssMb),
      peakRssMb: round(after.peakMb),
      openFiles: readdirSync(`/proc/${child.pid}/fd`).length,
      threads: after.threads,
      lagOfOneMs: lag.map(round),
    }
  } finally {
    child.kill('SIGKILL')
    await delay(200)
    rmSync(folder, { recursive: true, force: true })
  }
}

function makeDatabase(path: string): void {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE TABLE t (a, b)')
  db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
    INSERT INTO t SELECT i, hex(randomblob(100)) FROM n`)
  db.close()
}

function start(
  program: string,
  databases: string[],
  replica: string,
  folder: string,
): ChildProcess {
  const stdio = ['ignore', 'ignore', 'inherit'] as const
  if (program === 'walsync') {
    const args = [CLI, 'watch', ...databases, '-b', replica, '--log-level', 'error']
    return spawn(process.execPath, args, { stdio: [...stdio] })
  }
  const config = join(folder, 'litestream.yml')
  const entries = databases.map(
    (path, i) => `  - path: ${path}\n    replica:\n      url: file://${replica}/db${i}`,
  )
  writeFileSync(config, `logging:\n  level: error\ndbs:\n${entries.join('\n')}\n`)
  return spawn(LITESTREAM, ['replicate', '-config', config], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
}

/** Replicas that have their first file. */
function replicas(program: string, replica: string): number {
  const level = program === 'walsync' ? 'ltx/9' : 'ltx/0'
  return readdirSync(replica).filter((name) => existsSync(join(replica, name, level))).length
}

/** Milliseconds from a commit in one idle database to its file, for ten of them in turn. */
async function lagOf(program: string, databases: string[], replica: string): Promise<number[]> {
  const lags: number[] = []
  for (let i = 0; i < 10; i++) {
    const n = Math.floor((i * databases.length) / 10)
    const folder = join(replica, `db${n}`, 'ltx/0')
    const seen = existsSync(folder) ? readdirSync(folder).length : 0
    const db = new DatabaseSync(databases[n]!, { timeout: 5000 })
    const at = performance.now()
    db.exec('INSERT INTO t VALUES (1, 2)')
    while ((existsSync(folder) ? readdirSync(folder).length : 0) === seen) {
      if (performance.now() - at > 20_000) throw new Error(`${program}: no file within 20 s`)
      await delay(1)
    }
    lags.push(performance.now() - at)
    db.close()
  }
  return lags
}

function usage(child: ChildProcess) {
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${child.pid}/status`, 'latin1')
  const kb = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0)
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssMb: kb('VmRSS') / 1024,
    peakMb: kb('VmHWM') / 1024,
    threads: kb('Threads'),
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
