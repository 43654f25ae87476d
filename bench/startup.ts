// What it costs to start walsync: time and CPU of short commands beside `node -e 0`, in turns, so that
// the ratios belong together; then the memory of a watcher with one idle database beside a Node that
// only waits. Takes the built CLI, or that of another build to compare with.
// Usage: node bench/startup.ts [runs, default 20] [folder of a build, default dist]
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

const [runs, build] = [Number(process.argv[2] ?? 20), process.argv[3] ?? 'dist']
const cli = resolve(build, 'cli/bin.js')
const folder = mkdtempSync(join(tmpdir(), 'walsync-startup-'))
mkdirSync(join(folder, 'empty'))

/** Each command gets a compile cache of its own home, as on a machine where it has run before. */
const env = { ...process.env, HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') }
const COMMANDS = {
  'node -e 0': ['-e', '0'],
  'walsync --version': [cli, '--version'],
  'walsync --help': [cli, '--help'],
  'walsync list of an empty folder': [cli, 'list', '-b', join(folder, 'empty')],
}

interface Sample {
  readonly wallMs: number
  readonly cpuMs: number
}

function measure(): void {
  const samples = new Map<string, Sample[]>()
  for (let run = -1; run < runs; run++) {
    for (const [name, args] of Object.entries(COMMANDS)) {
      const [started, cpu] = [performance.now(), childrenCpuMs()]
      const { status } = spawnSync(process.execPath, args, { env, cwd: folder, stdio: 'ignore' })
      if (status !== 0) throw new Error(`${name}: ${status}`)
      const sample = { wallMs: performance.now() - started, cpuMs: childrenCpuMs() - cpu }
      // The first run of each fills the caches.
      if (run >= 0) samples.set(name, [...(samples.get(name) ?? []), sample])
    }
  }
  const node = summary(samples.get('node -e 0') ?? [])
  console.log(`${runs} runs of ${cli}`)
  for (const [name, list] of samples) {
    const { least, median, cpu } = summary(list)
    const ratio = (median / node.median).toFixed(1)
    console.log(
      `${name.padEnd(32)} least ${ms(least)}  median ${ms(median)}  CPU ${ms(cpu)}  ${ratio} of node`,
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
  const path = join(folder, 'app.db')
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1)')
  const args = [cli, 'watch', path, '-b', join(folder, 'replica'), '--json', '--log-level', 'error']
  const idle = ['-e', 'setInterval(() => undefined, 1000)']
  const [watch, node] = [args, idle].map((each) =>
    spawn(process.execPath, each, { env, cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] }),
  ) as [ChildProcess, ChildProcess]
  await once(watch.stdout as NodeJS.ReadableStream, 'data')
  // The first copy is stored, and the collector has run.
  await delay(8000)
  for (const [name, child] of [
    ['node that waits', node],
    ['walsync watch, one idle database', watch],
  ] as const) {
    const { rss, own } = memoryOf(child.pid as number)
    console.log(
      `${name.padEnd(32)} RSS ${rss.toFixed(0)} MB, of which private ${own.toFixed(0)} MB`,
    )
  }
  for (const child of [watch, node]) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  db.close()
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
