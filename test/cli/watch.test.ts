import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const UNPUBLISHED = fileURLToPath(new URL('../support/unpublished-writer.ts', import.meta.url))
const STUCK = fileURLToPath(new URL('plugins/stuck-store.ts', import.meta.url))

const folder = scratchFolder()
let cwd: string
let count = 0
let db: DatabaseSync
const started: RunningCli[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  db = sampleDatabase(join(cwd, 'app.db'), 10)
})
afterEach(async () => {
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
  if (db.isOpen) db.close()
})
afterAll(() => folder.remove())

async function watch(...words: string[]): Promise<RunningCli> {
  const cli = startCli(['watch', 'app.db', '--json', '-b', './replica', ...words], { cwd })
  started.push(cli)
  await cli.line((line) => /"event":"(base|resumed)"/.test(line))
  return cli
}

async function restored(name = 'app', from = './replica'): Promise<unknown[]> {
  const output = `restored-${++count}.db`
  const result = await runCli(['restore', name, '-b', from, '-o', output], { cwd })
  expect(result).toMatchObject({ code: 0, stderr: '' })
  return rowsOf(join(cwd, output))
}

describe('watch', () => {
  it('ends on SIGTERM with 0 and everything committed before it in the store', async () => {
    const cli = await watch()
    addRows(db, 100)
    cli.process.kill('SIGTERM')
    const { code, signal } = await cli.ended
    expect({ code, signal }).toEqual({ code: 0, signal: null })
    expect(await restored()).toEqual(rowsOf(join(cwd, 'app.db')))
    expect(rowsOf(join(cwd, 'app.db'))).toHaveLength(110)
  })

  it('uploads a commit that only the recovery of the log made one at its next start', async () => {
    db.close()
    const cli = await watch()
    cli.process.kill('SIGSTOP')
    const killed = spawnSync(process.execPath, [UNPUBLISHED, join(cwd, 'app.db')])
    expect(killed.signal).toBe('SIGKILL')
    cli.process.kill('SIGCONT')
    cli.process.kill('SIGTERM')
    expect((await cli.ended).code).toBe(0)
    expect(await restored()).toHaveLength(10)
    expect(rowsOf(join(cwd, 'app.db'))).toHaveLength(11)
    const next = await watch()
    next.process.kill('SIGTERM')
    expect((await next.ended).code).toBe(0)
    expect(await restored()).toEqual(rowsOf(join(cwd, 'app.db')))
  })

  it('ends on SIGINT alike', async () => {
    const cli = await watch()
    addRows(db, 5)
    cli.process.kill('SIGINT')
    expect((await cli.ended).code).toBe(0)
    expect(await restored()).toHaveLength(15)
  })

  const restart = async () => {
    const cli = await watch()
    cli.process.kill('SIGTERM')
    const { code, stdout } = await cli.ended
    expect(code).toBe(0)
    return stdout.split('\n').flatMap((line) => /"event":"(base|resumed)"/.exec(line)?.[1] ?? [])
  }

  it('continues without a full copy after a restart, because it leaves the WAL in place when it ends', async () => {
    expect(await restart()).toEqual(['base'])
    addRows(db, 5)
    expect(await restart()).toEqual(['resumed'])
    expect(await restored()).toHaveLength(15)
  })

  it('takes a full copy if the application has deleted the WAL in the meantime', async () => {
    expect(await restart()).toEqual(['base'])
    addRows(db, 5)
    db.close()
    expect(await restart()).toEqual(['base'])
    expect(await restored()).toHaveLength(15)
  })

  it('writes events as JSON lines with time, database and TXID', async () => {
    const cli = await watch()
    addRows(db, 1)
    const event = JSON.parse(await cli.line((line) => line.includes('"event":"synced"'))) as object
    expect(event).toMatchObject({
      event: 'synced',
      database: 'app',
      txid: expect.stringMatching(/^[0-9a-f]{16}$/),
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      bytes: expect.any(Number),
    })
  })

  it('continues when the readers of its events and its log are gone', async () => {
    const cli = await watch('--log-level', 'debug')
    cli.process.stdout?.destroy()
    cli.process.stderr?.destroy()
    for (let i = 0; i < 3; i++) {
      addRows(db, 1)
      await new Promise((resolve) => setTimeout(resolve, 1100))
    }
    cli.process.kill('SIGTERM')
    expect((await cli.ended).code).toBe(0)
    expect(await restored()).toHaveLength(13)
  })

  it('replicates several databases at once, each under its own name', async () => {
    const other = sampleDatabase(join(cwd, 'other one.sqlite'), 3)
    const cli = await watch('other one.sqlite')
    await cli.line((line) => line.includes('"database":"other one"'))
    addRows(other, 4)
    cli.process.kill('SIGTERM')
    expect((await cli.ended).code).toBe(0)
    expect(await restored('other one')).toHaveLength(7)
    expect(await restored('app')).toHaveLength(10)
    other.close()
  })

  it('takes another name for the replica', async () => {
    const cli = await watch('--name', 'team/prod')
    cli.process.kill('SIGTERM')
    await cli.ended
    expect(await restored('team/prod')).toHaveLength(10)
  })
})

describe('watch of a store that does not answer', () => {
  const stuck = async (...words: string[]) => {
    const url = `stuck://${encodeURI(join(cwd, 'replica'))}`
    const args = ['watch', 'app.db', '--json', '-b', url, '--plugin', STUCK, ...words]
    const cli = startCli(args, { cwd })
    started.push(cli)
    await cli.line((line) => line.includes('"event":"base"'))
    addRows(db, 1)
    return cli
  }

  it('gives the final sync --shutdown-timeout, then says what is not in the store, with 4', async () => {
    const cli = await stuck('--shutdown-timeout', '500ms')
    cli.process.kill('SIGTERM')
    const { code, stderr } = await cli.ended
    expect(code).toBe(4)
    expect(stderr).toMatch(
      /^error: The last changes of app did not reach the store within 500 ms\.\n {2}try: /m,
    )
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('a second %s ends it at once', async (signal, code) => {
    const cli = await stuck('--shutdown-timeout', '10m')
    cli.process.kill(signal)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(cli.process.exitCode).toBe(null)
    cli.process.kill(signal)
    expect((await cli.ended).code).toBe(code)
  })
})

describe('watch of a database that cannot be replicated', () => {
  /** Leaves nothing behind, neither in the store nor beside the file. */
  const refusal = async (name: string) => {
    const before = readdirSync(cwd)
    const result = await runCli(['watch', name, '-b', './replica'], { cwd })
    expect(result).toMatchObject({ code: 3, stdout: '' })
    expect(readdirSync(cwd)).toEqual(before)
    expect(existsSync(join(cwd, 'replica'))).toBe(false)
    expect(result.stderr.split('\n').filter((line) => line.startsWith('error: '))).toHaveLength(1)
    expect(result.stderr).toMatch(/^ {2}try: /m)
    return result.stderr
  }

  it('a missing file', async () => {
    expect(await refusal('nope.db')).toContain('nope.db')
  })

  it('a file that is not a database', async () => {
    writeFileSync(join(cwd, 'text.db'), 'x'.repeat(5000))
    expect(await refusal('text.db')).toContain('text.db')
  })

  it('a rollback-journal database, with the pragma to run', async () => {
    const rollback = new DatabaseSync(join(cwd, 'rollback.db'))
    rollback.exec('CREATE TABLE t (id)')
    rollback.close()
    expect(await refusal('rollback.db')).toMatch(/journal_mode\s*=\s*wal/i)
  })

  it('a folder', async () => {
    mkdirSync(join(cwd, 'folder.db'))
    await refusal('folder.db')
  })

  it('a file with two names', async () => {
    linkSync(join(cwd, 'app.db'), join(cwd, 'other.db'))
    expect(await refusal('other.db')).toContain('has 2 hard links')
  })

  it('a link that leads nowhere', async () => {
    symlinkSync(join(cwd, 'loop.db'), join(cwd, 'loop.db'))
    expect(await refusal('loop.db')).toMatch(
      /loop\.db cannot be reached: ELOOP\.\n {2}try: Check where/,
    )
  })
})

describe('watch -- command', () => {
  const script = (source: string) => [process.execPath, '-e', source]
  const insert = (rows: number) =>
    `const { DatabaseSync } = require('node:sqlite'); const db = new DatabaseSync('app.db'); for (let i = 0; i < ${rows}; i++) db.exec("INSERT INTO t (text) VALUES ('child')");`

  it('ends with the code of the command, after its last commit is in the store', async () => {
    const cli = startCli(
      ['watch', 'app.db', '-b', './replica', '--', ...script(`${insert(3)} process.exit(7)`)],
      { cwd },
    )
    expect((await cli.ended).code).toBe(7)
    expect(await restored()).toHaveLength(13)
  })

  it('passes SIGTERM on and waits for the command to end', async () => {
    const source = `process.on('SIGTERM', () => { ${insert(2)} process.exit(5) }); console.log('up'); setInterval(() => {}, 1000)`
    const cli = startCli(['watch', 'app.db', '-b', './replica', '--', ...script(source)], { cwd })
    started.push(cli)
    await cli.line((line) => line === 'up')
    cli.process.kill('SIGTERM')
    expect((await cli.ended).code).toBe(5)
    expect(await restored()).toHaveLength(12)
  })

  it('reports the signal that ended the command as a shell does', async () => {
    const cli = startCli(
      [
        'watch',
        'app.db',
        '-b',
        './replica',
        '--',
        ...script("process.kill(process.pid, 'SIGKILL')"),
      ],
      { cwd },
    )
    expect((await cli.ended).code).toBe(137)
  })

  it('says that the command cannot be started', async () => {
    const { code, stderr } = await runCli(
      ['watch', 'app.db', '-b', './replica', '--', './no-such-program'],
      { cwd },
    )
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /^error: The command "\.\/no-such-program" could not be started: .*ENOENT/m,
    )
  })
})

describe('two writers of one replica', () => {
  it('end with 75 for one of them', async () => {
    const first = await watch()
    mkdirSync(join(cwd, 'copy'))
    const copy = sampleDatabase(join(cwd, 'copy', 'app.db'), 3)
    const second = startCli(['watch', 'copy/app.db', '--json', '-b', './replica'], { cwd })
    started.push(second)
    await second.line((line) => /"event":"(base|resumed)"/.test(line))
    addRows(copy, 1)
    addRows(db, 1)
    const { code, stderr } = await Promise.race([first.ended, second.ended])
    expect(code).toBe(75)
    expect(stderr).toMatch(/^error: /m)
    copy.close()
  })
})
