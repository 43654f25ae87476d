// The main job on a sample database: a process that keeps writing, `walsync watch` beside it (killed
// once on the way), a restore into another folder, and a comparison of every row.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { compareDatabases } from './compare-databases.ts'

const CLI = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const WRITER = fileURLToPath(new URL('demo-writer.ts', import.meta.url))
const WRITING_MS = 4000

const folder = mkdtempSync(join(tmpdir(), 'walsync demo '))
const app = join(folder, 'app', 'app.db')
const replica = join(folder, 'replica')
const restored = join(folder, 'elsewhere', 'app.db')
for (const name of ['app', 'elsewhere']) mkdirSync(join(folder, name))

const lags: number[] = []
const running = new Set<ChildProcess>()

try {
  say(`1. A process writes 50 transactions a second to ${app}.`)
  const writer = start(WRITER, [app], 'pipe')
  const fromWriter = createInterface({ input: writer.stdout! })[Symbol.asyncIterator]()
  await fromWriter.next()

  say(`2. walsync watch app.db -b ${JSON.stringify(replica)}`)
  const first = await watch()
  await sleep(WRITING_MS)

  say('3. The watcher is killed with SIGKILL; the writer goes on alone for a second.')
  first.kill('SIGKILL')
  await once(first, 'exit')
  await sleep(1000)

  say('4. The watcher is started again.')
  const second = await watch()
  await sleep(WRITING_MS)

  const printed = fromWriter.next()
  await end(writer, 'the writer')
  const commits = Number((await printed).value)
  await end(second, 'walsync watch')
  say(
    `5. The writer made ${commits} transactions and ended; walsync watch shipped the last ones and ended.`,
  )

  await run('list', '-b', replica)
  say(`6. walsync restore app -b … -o ${JSON.stringify(restored)}`)
  const before = performance.now()
  await run('restore', 'app', '-b', replica, '-o', restored)
  const ms = Math.round(performance.now() - before)

  const { tables, rows } = compareDatabases(app, restored)
  say(
    `7. Compared row by row: ${rows} rows in ${tables} tables are equal. The restore took ${ms} ms.`,
  )
  say(`8. ${lagLine(lags)}`)
} finally {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

/** Starts `walsync watch` and waits until the replica has a base or goes on from one. */
async function watch(): Promise<ChildProcess> {
  const child = start(CLI, ['watch', app, '-b', replica, '--json', '--log-level', 'warn'], 'pipe')
  const lines = createInterface({ input: child.stdout! })
  const ready = new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`walsync watch ended early with code ${code}.`)))
    lines.on('line', (line) => {
      const event = JSON.parse(line) as { event: string; reason?: string; lagMs?: number }
      if (event.event === 'base') say(`   a full copy was uploaded: ${event.reason}`)
      if (event.event === 'resumed')
        say('   it went on where the replica ended, without a full copy')
      if (event.event === 'base' || event.event === 'resumed') resolve()
      if (event.event === 'synced' && event.lagMs !== undefined) lags.push(event.lagMs)
    })
  })
  await ready
  return child
}

function start(script: string, args: string[], stdout: 'pipe' | 'inherit'): ChildProcess {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', stdout, 'inherit'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

async function run(...args: string[]): Promise<void> {
  const [code] = await once(start(CLI, args, 'inherit'), 'exit')
  if (code !== 0) throw new Error(`walsync ${args[0]} ended with code ${code}.`)
}

async function end(child: ChildProcess, name: string): Promise<void> {
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${name} ended with code ${code}.`)
}

function lagLine(values: number[]): string {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]
  const shown = [at(0.5), at(0.9), sorted.at(-1)].map((ms) => Math.round(ms ?? Number.NaN))
  return `Lag of ${sorted.length} objects, from the change being seen to the object being stored: p50 ${shown[0]} ms, p90 ${shown[1]} ms, longest ${shown[2]} ms (at most one object a second while writes go on).`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
