import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { databaseSettings } from '../../src/cli/args/database-settings.ts'
import { HandOver } from '../../src/cli/watch/hand-over.ts'
import { HandOverLock } from '../../src/core/db/index.ts'
import { until } from '../support/until.ts'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'

const folder = scratchFolder()
let cwd: string
let count = 0
const started: RunningCli[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'app.mjs'), APP)
  const db = new DatabaseSync(join(cwd, 'app.db'))
  db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (writer TEXT)')
  db.close()
})
afterEach(async () => {
  // An application that outlives its watcher holds the pipes of that.
  for (const name of ['first', 'second']) rmSync(join(cwd, name), { force: true })
  for (const { process: child } of started) {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
  }
  await Promise.all(started.splice(0).map(({ ended }) => ended))
})
afterAll(() => folder.remove())

/** Adds rows under its own name until a file of that name is removed, or it is asked to end. */
const APP = `
import { DatabaseSync } from 'node:sqlite'
import { existsSync, writeFileSync } from 'node:fs'
const [, , name] = process.argv
const db = new DatabaseSync('app.db', { timeout: 10_000 })
const insert = db.prepare('INSERT INTO t VALUES (?)')
writeFileSync(name, String(process.pid))
process.on('SIGTERM', () => process.exit())
setInterval(() => { if (existsSync(name)) insert.run(name); else process.exit() }, 20)
`

/** A watcher with an application that writes. */
function watch(name: string, ...words: string[]): RunningCli {
  const replica = words.includes('-b') ? [] : ['-b', './replica']
  const args = ['watch', 'app.db', ...replica, '--json', '--no-probe', ...words]
  const app = ['--', process.execPath, '--no-warnings', 'app.mjs', name]
  const watcher = startCli([...args, ...app], { cwd })
  started.push(watcher)
  return watcher
}

type Event = { readonly event: string; readonly [field: string]: unknown }

async function event(watcher: RunningCli, type: string): Promise<Event> {
  return JSON.parse(await watcher.line((line) => line.includes(`"event":"${type}"`))) as Event
}

function rows(path = 'app.db'): Record<string, number> {
  const db = new DatabaseSync(join(cwd, path), { timeout: 10_000 })
  try {
    const all = db.prepare('SELECT writer, count(*) AS n FROM t GROUP BY writer').all()
    return Object.fromEntries(all.map(({ writer, n }) => [String(writer), Number(n)]))
  } finally {
    db.close()
  }
}

async function restored(): Promise<Record<string, number>> {
  const { code, stderr } = await runCli(
    ['restore', 'app', '-b', './replica', '-o', 'copy.db', '--force'],
    { cwd },
  )
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return rows('copy.db')
}

async function more(writer: string): Promise<void> {
  const before = rows()[writer] ?? 0
  await until(() => (rows()[writer] ?? 0) > before + 5)
}

/** Ends an application whose watcher is gone. */
async function endApp(name: string): Promise<void> {
  const pid = Number(readFileSync(join(cwd, name), 'utf8'))
  rmSync(join(cwd, name))
  await until(() => !existsSync(`/proc/${pid}`))
}

/** Stops the watcher that is left, and compares. */
async function expectAllRestored(last: RunningCli): Promise<void> {
  last.process.kill('SIGTERM')
  const { stdout } = await last.ended
  expect(stdout).not.toContain('"event":"base"')
  expect(await restored()).toEqual(rows())
}

describe('a second watcher of the same file', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'stands by with its application and continues without a full copy when the first gets %s',
    async (signal) => {
      const first = watch('first')
      await event(first, 'base')
      const second = watch('second')
      expect(await event(second, 'standby')).toMatchObject({ pid: first.process.pid })
      await more('first')
      await more('second')
      first.process.kill(signal)
      await until(() => first.process.exitCode !== null || first.process.signalCode !== null)
      expect(first.process.signalCode).toBe(signal === 'SIGKILL' ? 'SIGKILL' : null)
      expect(await event(second, 'handed-over')).toMatchObject({ isForced: false })
      await event(second, 'resumed')
      await more('second')
      if (signal === 'SIGKILL') await endApp('first')
      await expectAllRestored(second)
    },
  )

  it('changes nothing when it ends first', async () => {
    const first = watch('first')
    await event(first, 'base')
    const second = watch('second')
    await event(second, 'standby')
    await more('second')
    second.process.kill('SIGKILL')
    await until(() => second.process.signalCode === 'SIGKILL')
    await endApp('second')
    await more('first')
    first.process.kill('SIGTERM')
    const { stdout } = await first.ended
    expect(stdout.match(/"event":"base"/g)).toHaveLength(1)
    expect(stdout).not.toContain('"event":"fenced"')
    expect(await restored()).toEqual(rows())
  })

  it('takes over from a frozen one after --take-over-after; the frozen one then stands by and keeps its application', async () => {
    const first = watch('first')
    await event(first, 'base')
    await more('first')
    const second = watch('second', '--take-over-after', '1s')
    await event(second, 'standby')
    first.process.kill('SIGSTOP')
    expect(await event(second, 'handed-over')).toMatchObject({ isForced: true })
    await event(second, 'took-over')
    await more('second')

    first.process.kill('SIGCONT')
    await event(first, 'fenced')
    await event(first, 'standby')
    await more('first')
    expect(first.process.exitCode).toBeNull()
    second.process.kill('SIGTERM')
    await second.ended
    await event(first, 'handed-over')
    await more('first')
    first.process.kill('SIGTERM')
    await first.ended
    expect(await restored()).toEqual(rows())
  })

  it('that names the replica differently, and so has another lock, takes over for good', async () => {
    const first = watch('first')
    await event(first, 'base')
    symlinkSync('replica', join(cwd, 'same-replica'))
    const second = watch('second', '-b', './same-replica')
    await event(second, 'took-over')
    await event(first, 'fenced')
    await more('first')
    await more('second')
    // Longer than a watcher that gives its lock away keeps off.
    await delay(3000)
    await more('second')
    expect(first.process.exitCode).toBeNull()
    first.process.kill('SIGTERM')
    expect((await first.ended).stdout).not.toMatch(/"event":"(standby|handed-over)"/)
    second.process.kill('SIGTERM')
    const { stdout } = await second.ended
    expect(stdout).not.toContain('"event":"fenced"')
    expect(await restored()).toEqual(rows())
  })
})

describe('a watcher that ends', () => {
  const replica = 'file:///r/app'
  it('waits for a successor that has many databases and comes back to this one late', async () => {
    const path = join(cwd, 'app.db')
    const names = { name: 'app', prefix: 'app', path, replica, bucket: '/r' }
    const handOver = new HandOver((_, error) => {
      throw error
    })
    expect(handOver.take({ ...names, settings: databaseSettings({}) }, 0)).toBe(true)
    const successor = new HandOverLock(path, replica)
    expect(successor.tryTake()).toBe(false)
    successor.keepPlace()
    let isOver = false
    const passed = handOver.passOn().then(() => {
      isOver = true
    })
    // One with 3,000 databases takes this long from one check to the next.
    await delay(1500)
    expect(isOver).toBe(false)
    expect(successor.tryTake()).toBe(true)
    successor.announce('preparing')
    successor.leavePlace()
    await delay(100)
    expect(isOver).toBe(false)
    successor.announce('ready')
    await passed
    successor.release()
  })
})
