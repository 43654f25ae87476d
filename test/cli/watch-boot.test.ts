import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { layOut } from './legacy-bucket.ts'
import { type CliResult, type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'

const HELD = fileURLToPath(new URL('plugins/held-store.ts', import.meta.url))
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

/** Adds a row and notes how many there are. Its argument is the journal mode that it asks for. */
const APP = `
import { DatabaseSync } from 'node:sqlite'
import { writeFileSync } from 'node:fs'
const db = new DatabaseSync('app.db', { timeout: 5000 })
if (process.argv[2] !== 'as-it-is') db.exec('PRAGMA journal_mode = ' + (process.argv[2] ?? 'wal'))
db.exec('CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY); INSERT INTO t DEFAULT VALUES')
const { rows } = db.prepare('SELECT count(*) AS rows FROM t').get()
db.close()
writeFileSync('rows', String(rows))
`
const APP_COMMAND = ['--', process.execPath, '--no-warnings', 'app.mjs']

interface BootEvent {
  readonly event: string
  readonly [field: string]: unknown
}
interface Boot extends CliResult {
  readonly events: readonly BootEvent[]
  /** What the application counted; `undefined` if it was not started. */
  readonly rows: number | undefined
}

async function boot(words: readonly string[] = [], command = APP_COMMAND): Promise<Boot> {
  rmSync(join(cwd, 'rows'), { force: true })
  const args = ['watch', 'app.db', '-b', './replica', '--json', '--no-probe', ...words, ...command]
  const result = await runCli(args, { cwd })
  return { ...result, events: eventsIn(result.stdout), rows: rowsNoted() }
}

function eventsIn(stdout: string): BootEvent[] {
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as BootEvent).filter(({ event }) => event)
}

function rowsNoted(): number | undefined {
  const path = join(cwd, 'rows')
  return existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined
}

/** Rows of the newest state that the replica gives. */
async function replicated(): Promise<number> {
  const { code, stderr } = await runCli(
    ['restore', 'app', '-b', './replica', '-o', 'copy.db', '--force'],
    { cwd },
  )
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return rowsIn('copy.db')
}

function rowsIn(name: string): number {
  const db = new DatabaseSync(join(cwd, name), { readOnly: true })
  try {
    return (db.prepare('SELECT count(*) AS rows FROM t').get() as { rows: number }).rows
  } finally {
    db.close()
  }
}

function databaseFiles(): string[] {
  return readdirSync(cwd).filter((name) => name.startsWith('app.db'))
}

function wipeVolume(): void {
  for (const name of readdirSync(cwd)) {
    if (/^\.?app\.db/.test(name)) rmSync(join(cwd, name), { recursive: true })
  }
}

/** Spoils every object of the replica's chain. */
function damageReplica(): void {
  const root = join(cwd, 'replica', 'app', 'ltx')
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ltx')) continue
    const bytes = readFileSync(join(root, name))
    bytes[bytes.length - 30]! ^= 0xff
    writeFileSync(join(root, name), bytes)
  }
}

const names = (events: readonly BootEvent[]) => events.map(({ event }) => event)

describe('watch --restore-if-missing -- app', () => {
  it('starts fresh where there is neither a database nor a replica, and ships the first commit', async () => {
    const { code, rows, events } = await boot(['--restore-if-missing'])
    expect(code).toBe(0)
    expect(rows).toBe(1)
    expect(names(events)).not.toContain('restored')
    expect(await replicated()).toBe(1)
  })

  it('continues after an ordinary restart without a new full copy', async () => {
    await boot(['--restore-if-missing'])
    const { rows, events } = await boot(['--restore-if-missing'])
    expect(rows).toBe(2)
    expect(names(events)).toContain('resumed')
    expect(names(events)).not.toContain('base')
    expect(await replicated()).toBe(2)
  })

  it('restores a wiped volume before the application starts, and continues from there', async () => {
    await boot(['--restore-if-missing'])
    wipeVolume()
    const { code, rows, events } = await boot(['--restore-if-missing'])
    expect(code).toBe(0)
    expect(rows).toBe(2)
    expect(names(events)).toContain('restored')
    expect(names(events)).toContain('resumed')
    expect(names(events)).not.toContain('base')
    expect(await replicated()).toBe(2)
  })

  it('begins anew in a wiped bucket, and says so', async () => {
    await boot(['--restore-if-missing'])
    rmSync(join(cwd, 'replica'), { recursive: true })
    const { rows, events } = await boot(['--restore-if-missing'])
    expect(rows).toBe(2)
    const base = events.find(({ event }) => event === 'base')
    expect(base?.reason).toBe('the replica is empty')
    expect(await replicated()).toBe(2)
  })

  it('refuses a damaged replica with 5, names the object, and starts nothing', async () => {
    await boot(['--restore-if-missing'])
    wipeVolume()
    damageReplica()
    const { code, rows, stderr } = await boot(['--restore-if-missing'])
    expect(code).toBe(5)
    expect(stderr).toMatch(/The object ltx\/9\/0{15}1-0{15}1\.ltx is damaged/)
    expect(rows).toBeUndefined()
    expect(databaseFiles()).toEqual([])
  })

  it('keeps a log that was left without its database under another name', async () => {
    await boot(['--restore-if-missing'])
    wipeVolume()
    writeFileSync(join(cwd, 'app.db-wal'), 'frames of a lost database')
    writeFileSync(join(cwd, 'app.db-shm'), 'an index')
    const { code, rows, stderr } = await boot(['--restore-if-missing'])
    expect(code).toBe(0)
    expect(rows).toBe(2)
    expect(stderr).toContain('was left without a database')
    const [kept = ''] = readdirSync(cwd).filter((name) => name.endsWith('.left-over'))
    expect(readFileSync(join(cwd, kept), 'utf8')).toBe('frames of a lost database')
  })

  it.each(['restored', 'begun'])(
    'leaves a database alone that somebody else makes before it is %s',
    async (outcome) => {
      if (outcome === 'restored') {
        await boot(['--restore-if-missing'])
        wipeVolume()
      }
      const words = [
        '-b',
        `held://${join(cwd, 'replica')}`,
        '--plugin',
        HELD,
        '--restore-if-missing',
      ]
      const args = ['watch', 'app.db', '--json', '--no-probe', ...words, ...APP_COMMAND]
      const watching = startCli(args, { cwd })
      started.push(watching)
      await vi.waitUntil(() => existsSync(join(cwd, 'replica.asked')), { timeout: 30_000 })
      const other = new DatabaseSync(join(cwd, 'app.db'))
      other.exec('PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0')
      other.exec('CREATE TABLE other (x); INSERT INTO other VALUES (7)')
      writeFileSync(join(cwd, 'replica.go'), '')
      await watching.ended
      expect(readdirSync(cwd).filter((name) => name.endsWith('.left-over'))).toEqual([])
      expect(other.prepare('SELECT x FROM other').all()).toEqual([{ x: 7 }])
      other.close()
      const now = new DatabaseSync(join(cwd, 'app.db'))
      expect(now.prepare('SELECT x FROM other').all()).toEqual([{ x: 7 }])
      now.close()
    },
  )

  it('restores over an empty file, and through a dangling link', async () => {
    await boot(['--restore-if-missing'])
    wipeVolume()
    writeFileSync(join(cwd, 'app.db'), '')
    expect((await boot(['--restore-if-missing'])).rows).toBe(2)
    wipeVolume()
    mkdirSync(join(cwd, 'volume'))
    symlinkSync('volume/app.db', join(cwd, 'app.db'))
    expect((await boot(['--restore-if-missing'])).rows).toBe(3)
    expect(existsSync(join(cwd, 'volume', 'app.db'))).toBe(true)
  })

  it('restores a complete replica of walsync 0.1, and refuses an incomplete one', async () => {
    const count = `import { DatabaseSync } from 'node:sqlite'
      import { writeFileSync } from 'node:fs'
      const db = new DatabaseSync('app.db')
      writeFileSync('rows', String(db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get().tables))`
    writeFileSync(join(cwd, 'app.mjs'), count)
    layOut('plain', join(cwd, 'replica'))
    const complete = await boot(['--restore-if-missing'])
    expect(complete).toMatchObject({ code: 0 })
    expect(complete.rows).toBeGreaterThan(0)
    wipeVolume()
    rmSync(join(cwd, 'replica'), { recursive: true })
    layOut('truncate', join(cwd, 'replica'))
    const incomplete = await boot(['--restore-if-missing'])
    expect(incomplete).toMatchObject({ code: 5, rows: undefined })
    expect(incomplete.stderr).toContain('not shown to be complete')
    expect(databaseFiles()).toEqual([])
  })
})

describe('a missing database whose replica has states', () => {
  beforeEach(async () => {
    await boot()
    wipeVolume()
  })

  it('leaves nothing in the folder of a missing database', async () => {
    const before = readdirSync(cwd)
    const args = ['watch', 'other.db', '-b', './replica', '--no-probe']
    expect((await runCli(args, { cwd })).code).toBe(3)
    expect(readdirSync(cwd)).toEqual(before)
  })

  it('--restore-if-missing and --start-fresh exclude each other', async () => {
    const { code, stderr } = await boot(['--restore-if-missing', '--start-fresh'])
    expect(code).toBe(2)
    expect(stderr).toContain('contradict each other')
  })

  it('is refused with 3 and both ways out, with and without a command', async () => {
    for (const command of [APP_COMMAND, []]) {
      const { code, rows, stderr } = await boot([], command)
      expect(code).toBe(3)
      expect(rows).toBeUndefined()
      expect(stderr).toContain('and its replica file://')
      expect(stderr).toMatch(/--restore-if-missing .* --start-fresh/)
    }
  })

  it('begins a new history after the old one with --start-fresh', async () => {
    await boot(['--restore-if-missing'])
    wipeVolume()
    const { code, rows, events } = await boot(['--start-fresh'])
    expect(code).toBe(0)
    expect(rows).toBe(1)
    expect(events.find(({ event }) => event === 'base')?.txid).toBe('0000000000000003')
    const old = ['restore', 'app', '-b', './replica', '--txid', '2', '-o', 'old.db']
    expect(await runCli(old, { cwd })).toMatchObject({ code: 0 })
    expect(rowsIn('old.db')).toBe(2)
    expect(await replicated()).toBe(1)
  })

  it('is not restored over an empty file that an application may have open', async () => {
    writeFileSync(join(cwd, 'app.db'), '')
    const { code, stderr } = await boot(['--restore-if-missing'], [])
    expect(code).toBe(3)
    expect(stderr).toContain('may have the empty file open')
  })

  it('is restored without a command, too', async () => {
    const watcher = startCli(
      ['watch', 'app.db', '-b', './replica', '--json', '--no-probe', '--restore-if-missing'],
      { cwd },
    )
    started.push(watcher)
    await watcher.line((line) => line.includes('"resumed"'))
    expect(rowsIn('app.db')).toBe(1)
  })
})

describe('a database that does not exist yet', () => {
  it('is an error without a command, and waited for with --wait', async () => {
    const { code, stderr } = await boot([], [])
    expect(code).toBe(3)
    expect(stderr).toContain('--wait')
    const args = ['watch', 'app.db', '-b', './replica', '--json', '--no-probe', '--wait']
    const watcher = startCli(args, { cwd })
    started.push(watcher)
    await watcher.line((line) => line.includes('there is no file yet'))
    expect(existsSync(join(cwd, 'replica', 'app'))).toBe(false)
    const db = new DatabaseSync(join(cwd, 'app.db'))
    db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY)')
    await watcher.line((line) => line.includes('"base"'))
    db.close()
  })

  it('is switched to WAL mode with --enable-wal, and named without it', async () => {
    const app = [...APP_COMMAND, 'delete']
    const { code, rows, events } = await boot([], app)
    expect(code).toBe(0)
    expect(rows).toBe(1)
    expect(names(events)).not.toContain('base')
    const switched = await boot(['--enable-wal'], [...APP_COMMAND, 'as-it-is'])
    expect(switched.rows).toBe(2)
    expect(switched.stderr).toContain('switched the database to WAL mode')
    expect(await replicated()).toBe(2)
  })
})

describe('a database of a configuration file', () => {
  beforeEach(async () => {
    await boot()
    wipeVolume()
  })
  const file = (setting: string) =>
    writeFileSync(
      join(cwd, 'walsync.yml'),
      `bucket: ./replica\nprobe: false\n${setting}\ndatabases:\n  - path: app.db\n`,
    )

  it('is restored before the application starts', async () => {
    file('restore-if-missing: true')
    const { code } = await runCli(['watch', '--json', ...APP_COMMAND], { cwd })
    expect(code).toBe(0)
    expect(rowsNoted()).toBe(2)
    expect(await replicated()).toBe(2)
  })

  it('is refused before the application starts, unless a flag says what to do', async () => {
    file('')
    rmSync(join(cwd, 'rows'))
    const { code, stderr } = await runCli(['watch', ...APP_COMMAND], { cwd })
    expect(code).toBe(3)
    expect(stderr).toContain('--restore-if-missing')
    expect(rowsNoted()).toBeUndefined()
  })

  it('is kept back until somebody puts its file in place', async () => {
    file('poll-interval: 50ms')
    const watcher = startCli(['watch', '--json'], { cwd })
    started.push(watcher)
    await watcher.line((line) => line.includes('"waiting"') && line.includes('has states'))
    const restored = ['restore', 'app', '-b', './replica', '-o', 'restored.db']
    expect(await runCli(restored, { cwd })).toMatchObject({ code: 0 })
    renameSync(join(cwd, 'restored.db'), join(cwd, 'app.db'))
    await watcher.line((line) => line.includes('"resumed"'))
  })
})
