// The main job on a sample database: a process that writes, `walsync watch` beside it (killed once
// on the way), a restore into another folder, and a comparison of every row.
import { type ChildProcess, spawn } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { compareDatabases } from './compare-databases.ts'

const CLI = fileURLToPath(new URL('../dist/cli/bin.js', import.meta.url))
const WRITER = fileURLToPath(new URL('demo-writer.ts', import.meta.url))
const SINGLES = 8
/** Longer than the sync interval, so that no transaction waits for the one before. */
const BETWEEN_SINGLES_MS = 1200
const BUSY_MS = 3000
/** Nothing here takes this long; a demo that hangs says so. */
const LIMIT_MS = 150_000

interface Watcher {
  readonly process: ChildProcess
  next(event: string): Promise<void>
}

const folder = mkdtempSync(join(tmpdir(), 'walsync demo '))
const app = join(folder, 'app', 'app.db')
const replica = join(folder, 'replica')
const restored = join(folder, 'elsewhere', 'app.db')
for (const name of ['app', 'elsewhere']) mkdirSync(join(folder, name))

const running = new Set<ChildProcess>()
const limit = setTimeout(() => {
  for (const child of running) child.kill('SIGKILL')
  throw new Error(`The demo took longer than ${LIMIT_MS / 1000} s.`)
}, LIMIT_MS)

try {
  const writer = start(WRITER, [app])
  const answers = createInterface({ input: writer.stdout! })[Symbol.asyncIterator]()
  await answers.next()
  say(`1. A process of its own has made ${app}.`)

  say(`2. walsync watch app.db -b ${JSON.stringify(replica)}`)
  const first = await watch()
  const lags: number[] = []
  for (let i = 0; i < SINGLES; i++) {
    await sleep(BETWEEN_SINGLES_MS)
    const synced = first.next('synced')
    writer.stdin!.write('single\n')
    await synced
    const stored = performance.timeOrigin + performance.now()
    lags.push(stored - Number((await answers.next()).value))
  }
  say(`3. ${SINGLES} single transactions. ${lagLine(lags)}`)

  writer.stdin!.write('busy\n')
  await sleep(BUSY_MS)
  say('4. The process writes 50 transactions a second. The watcher is killed with SIGKILL.')
  first.process.kill('SIGKILL')
  await once(first.process, 'exit')
  await sleep(1000)

  say('5. A second later it is started again.')
  const second = await watch()
  await sleep(BUSY_MS)

  writer.stdin!.write('end\n')
  const transactions = Number((await answers.next()).value)
  second.process.kill('SIGTERM')
  await succeeded(second.process, 'walsync watch')
  say(`6. The process made ${transactions} transactions and ended; so did the watcher, on SIGTERM.`)

  await run('list', '-b', replica)
  say(`7. walsync restore app -b … -o ${JSON.stringify(restored)}`)
  await run('restore', 'app', '-b', replica, '-o', restored)

  const { tables, rows } = compareDatabases(app, restored)
  say(`8. Compared row by row: all ${rows} rows in ${tables} tables are equal.`)
} finally {
  clearTimeout(limit)
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

/** Starts `walsync watch` and waits until the replica has a base, or goes on where it ended. */
async function watch(): Promise<Watcher> {
  const child = start(CLI, ['watch', app, '-b', replica, '--json', '--log-level', 'warn'])
  const stop = new AbortController()
  child.once('exit', (code) => stop.abort(new Error(`walsync watch has ended (code ${code}).`)))
  const lines = createInterface({ input: child.stdout! })
  const next = async (...wanted: string[]) => {
    for await (const [line] of on(lines, 'line', { signal: stop.signal })) {
      const event = JSON.parse(line as string) as { event: string; reason?: string }
      if (wanted.includes(event.event)) return event
    }
    throw new Error('The output of walsync watch has ended.')
  }
  const { event, reason } = await next('base', 'resumed')
  say(
    event === 'base'
      ? `   full copy: ${reason}`
      : '   it goes on where the replica ended, without a new full copy',
  )
  return { process: child, next: async (name) => void (await next(name)) }
}

function start(script: string, args: string[]): ChildProcess {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

async function run(...args: string[]): Promise<void> {
  const child = start(CLI, args)
  child.stdout!.pipe(process.stdout)
  await succeeded(child, `walsync ${args[0]}`)
}

async function succeeded(child: ChildProcess, name: string): Promise<void> {
  const [code] = child.exitCode === null ? await once(child, 'close') : [child.exitCode]
  if (code !== 0) throw new Error(`${name} ended with code ${code}.`)
}

function lagLine(lags: number[]): string {
  const sorted = lags.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  return `Lag from COMMIT to the stored object: median ${median.toFixed(1)} ms, longest ${(sorted.at(-1) ?? Number.NaN).toFixed(1)} ms.`
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
