import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
let cwd: string
let count = 0
const started: RunningCli[] = []
const open: DatabaseSync[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
})
afterEach(() => {
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
  for (const db of open.splice(0)) if (db.isOpen) db.close()
})
afterAll(() => folder.remove())

interface Line {
  readonly event: string
  readonly database?: string
}

/** A watcher that has read what `config` holds; the application's connections stay open. */
function watch(config: string, ...words: string[]): RunningCli {
  configure(config)
  const cli = startCli(['watch', '--json', '--no-status', ...words], { cwd })
  started.push(cli)
  return cli
}

function configure(text: string): void {
  writeFileSync(join(cwd, 'walsync.yml'), text)
}

function database(name: string, rows: number): DatabaseSync {
  const db = sampleDatabase(join(cwd, name), rows)
  open.push(db)
  return db
}

function seen(cli: RunningCli, event: string, name?: string): Promise<string> {
  return cli.line((line) => {
    const read = JSON.parse(line) as Line
    return read.event === event && (name === undefined || read.database === name)
  })
}

async function restored(name: string, bucket = './replica'): Promise<unknown[]> {
  const output = `restored-${++count}.db`
  const result = await runCli(['restore', name, '-b', bucket, '-o', output], { cwd })
  expect(result).toMatchObject({ code: 0 })
  return rowsOf(join(cwd, output))
}

async function ended(cli: RunningCli): Promise<{ lines: Line[]; stderr: string }> {
  cli.process.kill('SIGTERM')
  const { code, stdout, stderr } = await cli.ended
  expect(code).toBe(0)
  const lines = stdout.trim().split('\n')
  return { lines: lines.map((line) => JSON.parse(line) as Line), stderr }
}

describe('SIGHUP', () => {
  it('adds, ends and restarts databases as the file says, and leaves the others alone', async () => {
    const [a, b] = [database('a.db', 10), database('b.db', 10)]
    database('c.db', 10)
    const before = `
bucket: ./replica
databases:
  - path: a.db
  - path: b.db
  - path: c.db
    bucket: ./elsewhere
  - path: late.db
`
    const cli = watch(before)
    for (const name of ['a', 'b']) await seen(cli, 'base', name)
    await seen(cli, 'base', `file://${encodeURI(join(cwd, 'elsewhere'))}/c`)
    await seen(cli, 'waiting', 'late')

    database('d.db', 4)
    configure(`
bucket: ./replica
databases:
  - path: a.db
  - path: b.db
    sync-interval: 200ms
  - path: d.db
    prefix: new
  - path: late.db
`)
    cli.process.kill('SIGHUP')
    expect(JSON.parse(await seen(cli, 'config-reloaded'))).toMatchObject({
      added: ['new/d'],
      changed: ['b'],
      removed: [expect.stringMatching(/elsewhere\/c$/)],
      unchanged: ['a', 'late'],
    })
    await seen(cli, 'base', 'new/d')
    await seen(cli, 'resumed', 'b')
    addRows(a, 1)
    addRows(b, 2)
    await seen(cli, 'synced', 'a')
    await seen(cli, 'synced', 'b')
    database('late.db', 3)
    await seen(cli, 'base', 'late')

    const { lines } = await ended(cli)
    const of = (event: string) => lines.filter((line) => line.event === event)
    const claims = of('claimed').map((line) => line.database)
    expect(claims.filter((name) => name === 'a')).toHaveLength(1)
    expect(claims.filter((name) => name === 'b')).toHaveLength(2)
    const ofA = lines.filter((line) => line.database === 'a').map((line) => line.event)
    expect(ofA).toEqual(['database-added', 'claimed', 'base', 'synced'])
    expect(of('store-probed')).toHaveLength(2)
    const names = ['a', 'b', 'new/d', 'late'].map((name) => restored(name))
    const [rowsA, rowsB, d, late] = await Promise.all(names)
    expect(rowsA).toEqual(rowsOf(join(cwd, 'a.db')))
    expect(rowsB).toEqual(rowsOf(join(cwd, 'b.db')))
    expect([d, late, await restored('c', './elsewhere')].map((rows) => rows?.length)).toEqual([
      4, 3, 10,
    ])
  })

  it('with a file that is wrong changes nothing', async () => {
    const a = database('a.db', 10)
    const good = 'bucket: ./replica\ndatabases:\n  - path: a.db\n'
    const cli = watch(good)
    await seen(cli, 'base', 'a')
    const rejected = async (text: string, says: RegExp) => {
      configure(text)
      cli.process.kill('SIGHUP')
      const line = await cli.line((l) => l.includes('config-rejected') && says.test(l))
      return JSON.parse(line) as { details?: string[] }
    }
    const { details } = await rejected(`${good}sync-intervall: 5\nsingle-writer: 7\n`, /2 errors/)
    expect(details).toEqual([
      expect.stringMatching(
        /^walsync\.yml:4:1: sync-intervall is an unknown key; did you mean sync-i/,
      ),
      expect.stringMatching(
        /^walsync\.yml:5:16: single-writer got 7, which is not one of newest, strict/,
      ),
    ])
    await rejected(`${good}region: eu\n`, /for which region has no meaning/)
    await rejected(`${good}log-format: pretty\n`, /log-format cannot change while walsync runs/)
    await rejected(`${good}  - path: x/a.db\n`, /would both be replicated under the name/)
    await rejected(`${good}  - path: b.db\n    bucket: nope://x\n`, /No backend knows nope:\/\//)
    rmSync(join(cwd, 'walsync.yml'))
    cli.process.kill('SIGHUP')
    await cli.line((line) => line.includes('There is no configuration file'))
    addRows(a, 5)
    await seen(cli, 'synced', 'a')
    const { lines, stderr } = await ended(cli)
    expect(lines.filter(({ event }) => event === 'claimed')).toHaveLength(1)
    expect(lines.filter(({ event }) => event === 'config-reloaded')).toHaveLength(0)
    expect(stderr).toMatch(/the configuration is unchanged: walsync\.yml has 2 errors/)
    expect(await restored('a')).toHaveLength(15)
  })
})

describe('a folder', () => {
  it('picks up new databases, and ends deleted ones after uploading everything that was committed', async () => {
    mkdirSync(join(cwd, 'data'))
    writeFileSync(join(cwd, 'data', 'README'), 'no database')
    const x = database('data/x.db', 10)
    const cli = watch(
      'bucket: ./replica\nsync-interval: 20s\npoll-interval: 200ms\ndatabases:\n  - folder: data\n',
    )
    await seen(cli, 'base', 'x')
    const y = database('data/y.db', 2)
    await seen(cli, 'base', 'y')
    addRows(x, 1)
    await seen(cli, 'synced', 'x')
    // Within the sync interval: only a final sync ships it.
    addRows(x, 7)
    for (const suffix of ['-wal', '-shm', '']) rmSync(join(cwd, `data/x.db${suffix}`))
    expect(JSON.parse(await seen(cli, 'database-removed', 'x'))).toMatchObject({
      isComplete: true,
      isChanged: false,
    })
    // A file that would share the replica of one that is watched.
    database('data/y.sqlite', 1)
    addRows(y, 3)
    await seen(cli, 'synced', 'y')
    await new Promise((resolve) => setTimeout(resolve, 500))
    const { lines, stderr } = await ended(cli)
    expect(stderr).toMatch(/not replicated: .*y\.db and .*y\.sqlite would both be replicated/)
    expect(stderr.match(/not replicated/g)).toHaveLength(1)
    expect(stderr).not.toContain('README')
    expect(lines.filter(({ event }) => event === 'claimed')).toHaveLength(2)
    const [rowsX, rowsY] = await Promise.all([restored('x'), restored('y')])
    expect([rowsX.length, rowsY.length]).toEqual([18, 5])
  })
})

describe('watch of a configuration that is wrong', () => {
  it('ends with 2 and everything that is wrong, before anything is written', async () => {
    configure('bukket: ./replica\ndatabases:\n  - path: a.db\n    sync-interval: soon\n')
    const { code, stdout, stderr } = await runCli(['watch'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(
      /^error: walsync\.yml has 2 errors\.\n {2}walsync\.yml:1:1: bukket .*\n {2}walsync\.yml:4:20: databases\[0\]\.sync-interval .*\n {2}try: /,
    )
  })

  it('ends with 2 for two databases of one replica', async () => {
    configure('bucket: ./replica\ndatabases:\n  - path: x/a.db\n  - path: y/a.db\n')
    const { code, stderr } = await runCli(['watch'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: .*x\/a\.db and .*y\/a\.db would both be replicated/m)
  })
})
