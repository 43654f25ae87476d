import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { rowsOf, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
let cwd: string
let count = 0
const started: RunningCli[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'app.mjs'), APP)
})
afterEach(() => {
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
})
afterAll(() => folder.remove())

/** Says on stdout that it runs; at SIGTERM or SIGINT it takes its time, commits once more and ends. */
const APP = `
import { DatabaseSync } from 'node:sqlite'
import { writeFileSync } from 'node:fs'
const db = new DatabaseSync('app.db')
const insert = () => db.exec("INSERT INTO t (text) VALUES ('app')")
insert()
let asked = 0
const end = () => {
  if (process.argv[2] === 'stubborn') return
  if (asked++ > 0) return
  setTimeout(() => { insert(); db.close(); process.exit(0) }, 400)
}
process.on('SIGTERM', end)
process.on('SIGINT', end)
setInterval(() => {}, 1000)
writeFileSync('pid', String(process.pid))
console.log('app runs')
`
const NODE = `"${process.execPath}" --no-warnings`

function watch(shell: string, ...words: string[]): RunningCli {
  const args = ['watch', 'app.db', '-b', './replica', ...words, '--', 'sh', '-c', shell]
  const cli = startCli(args, { cwd })
  started.push(cli)
  return cli
}

async function restored(from = './replica'): Promise<unknown[]> {
  const result = await runCli(['restore', 'app', '-b', from, '-o', 'restored.db'], { cwd })
  expect(result).toMatchObject({ code: 0 })
  return rowsOf(join(cwd, 'restored.db'))
}

describe('an application started by a shell', () => {
  beforeEach(() => sampleDatabase(join(cwd, 'app.db'), 3).close())

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'gets %s, and is waited for though the shell has ended; its last commit is shipped',
    async (signal) => {
      const cli = watch(`${NODE} app.mjs; true`)
      await cli.line((line) => line === 'app runs')
      cli.process.kill(signal)
      const { code } = await cli.ended
      expect(code).toBe(signal === 'SIGTERM' ? 143 : 130)
      const rows = rowsOf(join(cwd, 'app.db'))
      expect(rows).toHaveLength(5)
      expect(await restored()).toEqual(rows)
    },
  )

  it('is replicated on when the shell has put it into the background and ended', async () => {
    const cli = watch(`${NODE} app.mjs & exit 0`)
    await cli.line((line) => line === 'app runs')
    const pid = Number(readFileSync(join(cwd, 'pid'), 'utf8'))
    process.kill(pid, 'SIGTERM')
    const { code, stderr } = await cli.ended
    expect(code).toBe(0)
    expect(stderr).toContain('replicating until what it has started ends')
    expect(await restored()).toHaveLength(5)
  })

  it('that does not end is left running with a warning after the shutdown timeout', async () => {
    const cli = watch(`${NODE} app.mjs stubborn; true`, '--shutdown-timeout', '1s')
    await cli.line((line) => line === 'app runs')
    const pid = Number(readFileSync(join(cwd, 'pid'), 'utf8'))
    cli.process.kill('SIGTERM')
    await once(cli.process, 'exit')
    // Throws if it has ended; until it does it holds the pipes that `ended` waits for.
    process.kill(pid, 'SIGKILL')
    const { code, stderr } = await cli.ended
    expect(code).toBe(143)
    expect(stderr).toContain('processes of the command still run 1000 ms')
    expect(await restored()).toHaveLength(4)
  })

  it('does not write into the events of --json: its stdout is on stderr', async () => {
    const cli = watch('echo hello', '--json')
    const { code, stdout, stderr } = await cli.ended
    expect(code).toBe(0)
    expect(stderr).toContain('hello')
    const lines = stdout.trim().split('\n')
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('event')
  })
})

describe('an application that is done before the first look', () => {
  it('has its new database shipped', async () => {
    writeFileSync(
      join(cwd, 'walsync.yml'),
      'bucket: ./replica\npoll-interval: 1h\ndatabases:\n  - path: ./app.db\n',
    )
    const source = `const { DatabaseSync } = require('node:sqlite');
      const db = new DatabaseSync('app.db');
      db.exec("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO t (text) VALUES ('only')");
      db.close()`
    const args = ['watch', '--', process.execPath, '--no-warnings', '-e', source]
    const { code } = await runCli(args, { cwd })
    expect(code).toBe(0)
    expect(existsSync(join(cwd, 'app.db'))).toBe(true)
    expect(await restored()).toEqual([{ id: 1, text: 'only' }])
  })
})
