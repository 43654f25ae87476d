// What it costs to start walsync: time and CPU of short commands beside `node -e 0`, in turns, so that
// the ratios belong together; then the memory of a watcher with one idle database beside a Node that
// only waits. Takes the built CLI, or several builds to compare.
// Usage: node bench/startup.ts [runs, default 20] [folders of builds, default dist]
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

const runs = Number(process.argv[2] ?? 20)
const builds = process.argv.length > 3 ? process.argv.slice(3) : ['dist']
const folder = mkdtempSync(join(tmpdir(), 'walsync-startup-'))
const empty = join(folder, 'empty')
mkdirSync(empty)
mkdirSync(join(folder, 'cache'))

/** With a compile cache, as on a machine where walsync has run before. */
const env = { ...process.env, HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') }
const commands = new Map<string, readonly string[]>([['node -e 0', ['-e', '0']]])
for (const build of builds) {
  const cli = cliOf(build)
  commands.set(`${build}: --version`, [cli, '--version'])
  commands.set(`${build}: --help`, [cli, '--help'])
  commands.set(`${build}: list of an empty folder`, [cli, 'list', '-b', empty])
}

function cliOf(build: string): string {
  return resolve(build, 'cli/bin.js')
}

/** Columns of the names. */
const WIDTH = 44
/** For the first copy, and for what follows it. */
const IDLE_MS = 8000

interface Sample {
  readonly wallMs: number
  readonly cpuMs: number
}

function measure(): void {
  const samples = new Map<string, Sample[]>()
  for (let run = -1; run < runs; run++) {
    for (const [name, args] of commands) {
      const [started, cpu] = [performance.now(), childrenCpuMs()]
      const { status } = spawnSync(process.execPath, args, { env, cwd: folder, stdio: 'ignore' })
      if (status !== 0) throw new Error(`${name}: ${status}`)
      const sample = { wallMs: performance.now() - started, cpuMs: childrenCpuMs() - cpu }
      // The first run of each fills the caches.
      if (run >= 0) samples.set(name, [...(samples.get(name) ?? []), sample])
    }
  }
  const node = summary(samples.get('node -e 0') ?? [])
  for (const [name, list] of samples) {
    const { least, median, cpu } = summary(list)
    const ratio = (median / node.median).toFixed(1)
    console.log(
      `${name.padEnd(WIDTH)} least ${ms(least)}  median ${ms(median)}  CPU ${ms(cpu)}  ${ratio} of node`,
    )
  }
}

function summary(samples: readonly Sample[]) {
  const walls = samples.map(({ wallMs }) => wallMs).sort((a, b) => a - b)
  const cpu = samples.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / samples.length
  return { least: walls[0] ?? 0, median: walls[walls.length >> 1] ?? 0, cpu }
}

function ms(value: number): string {
  return `${value.toFixed(0).padStart(4)} ms`
}

/** CPU of the children that have ended, from /proc; its unit of 10 ms evens out over the runs. */
function childrenCpuMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) * 10
}

async function measureMemory(): Promise<void> {
  const db = new DatabaseSync(join(folder, 'app.db'))
  db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  await memory('node that waits', ['-e', 'console.log(1); setInterval(() => undefined, 1000)'])
  for (const build of builds) {
    const args = ['watch', 'app.db', '-b', './replica', '--json', '--log-level', 'error']
    await memory(`${build}: watch, one idle database`, [cliOf(build), ...args])
  }
  db.close()
}

/** Of a process once it has written something and was then idle. */
async function memory(name: string, args: readonly string[]): Promise<void> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const child = spawn(process.execPath, args, { env, cwd: folder, stdio: [...stdio] })
  const ended = once(child, 'exit')
  await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended])
  await delay(IDLE_MS)
  const { rss, own } = memoryOf(child.pid as number)
  console.log(
    `${name.padEnd(WIDTH)} RSS ${rss.toFixed(0)} MB, of which private ${own.toFixed(0)} MB`,
  )
  child.kill('SIGTERM')
  await ended
}

/** In MB of 1,000,000 bytes. */
function memoryOf(pid: number): { rss: number; own: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const mb = (name: string): number =>
    (Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(text)?.[1]) * 1024) / 1e6
  return { rss: mb('Rss'), own: mb('Private_Dirty') + mb('Private_Clean') }
}

try {
  measure()
  await measureMemory()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
