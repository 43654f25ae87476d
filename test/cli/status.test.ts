import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { askWatcher, askWatchers } from '../../src/cli/status/ask-watchers.ts'
import { formatSpan } from '../../src/cli/status/render-status.ts'
import {
  assertSocketPath,
  folderProblem,
  pidOf,
  runFolder,
  socketIn,
} from '../../src/cli/status/run-folder.ts'
import { isInTrouble, type StatusOfDatabase } from '../../src/cli/status/status-document.ts'
import { type CliResult, type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
let cwd: string
let env: { WALSYNC_RUN_DIR: string }
let count = 0
let db: DatabaseSync
const started: RunningCli[] = []
const runFolders: string[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  // Short: the path of a socket has at most 107 bytes.
  const run = join(mkdtempSync(join(tmpdir(), 'ws-')), 'run')
  runFolders.push(run)
  env = { WALSYNC_RUN_DIR: run }
  db = sampleDatabase(join(cwd, 'app.db'), 10)
})
afterEach(() => {
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
  if (db.isOpen) db.close()
})
afterAll(() => {
  folder.remove()
  for (const run of runFolders) rmSync(join(run, '..'), { recursive: true })
})

async function watch(words: readonly string[], until = '"event":"base"'): Promise<RunningCli> {
  const cli = startCli(['watch', '--json', ...words], { cwd, env })
  started.push(cli)
  await cli.line((line) => line.includes(until))
  return cli
}

const status = (...words: string[]): Promise<CliResult> =>
  runCli(['status', ...words], { cwd, env })

describe('walsync status', () => {
  it('shows a watcher to its owner only, and says that it does not answer after it was killed', async () => {
    const cli = await watch(['app.db', '-b', './replica'])
    addRows(db, 1)
    await cli.line((line) => line.includes('"event":"synced"'))
    const [text, json, named, unknown] = await Promise.all([
      status(),
      status('--json'),
      status('app'),
      status('app', 'nope', '--json'),
    ])
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toMatch(
      new RegExp(`^walsync \\d+\\.\\d+\\.\\d+, process ${cli.process.pid}, up \\d+ (ms|s|min)\n`),
    )
    expect(text.stdout).toMatch(/^DATABASE +STATE +LAG +LAST SYNC +SIZE +WAL +PENDING/m)
    expect(text.stdout).toMatch(
      /^app +replicating +0 +\d{4}-.*Z +.* +2 +\/.*app\.db +file:\/\/\/.*\/app$/m,
    )
    expect(named).toMatchObject({ code: 0, stdout: expect.stringContaining('replicating') })
    expect(JSON.parse(json.stdout)).toMatchObject({
      watchers: [
        {
          version: 1,
          pid: cli.process.pid,
          uptimeMs: expect.any(Number),
          databases: [
            {
              name: 'app',
              path: join(cwd, 'app.db'),
              replica: `file://${encodeURI(join(cwd, 'replica'))}/app`,
              state: 'replicating',
              txid: '0000000000000002',
              lagMs: 0,
              pendingFiles: 0,
              lastSyncAt: expect.stringMatching(/Z$/),
              replicaFiles: 2,
              restorable: { from: { txid: '0000000000000001' }, to: { txid: '0000000000000002' } },
            },
          ],
        },
      ],
      failures: [],
      missing: [],
    })
    expect(unknown.code).toBe(1)
    expect(JSON.parse(unknown.stdout)).toMatchObject({ missing: ['nope'] })

    const socket = join(env.WALSYNC_RUN_DIR, `${cli.process.pid}.sock`)
    expect(statSync(env.WALSYNC_RUN_DIR).mode & 0o777).toBe(0o700)
    expect(statSync(socket).mode & 0o777).toBe(0o600)

    cli.process.kill('SIGKILL')
    await cli.ended
    expect(existsSync(socket)).toBe(true)
    expect(await status()).toMatchObject({ code: 1, stdout: 'No watcher answers.\n', stderr: '' })
    expect(readdirSync(env.WALSYNC_RUN_DIR)).toEqual([])
  })

  it('ends with 1 if a database is failing, and says why; a waiting database is not failing', async () => {
    const locked = new DatabaseSync(join(cwd, 'locked.db'))
    locked.exec('PRAGMA locking_mode = exclusive; PRAGMA journal_mode = wal; CREATE TABLE t (id)')
    writeFileSync(
      join(cwd, 'walsync.yml'),
      'bucket: ./replica\ndatabases: [{path: app.db}, {path: locked.db}, {path: later.db}]\n',
    )
    const cli = await watch([], '"event":"database-error"')
    await cli.line((line) => line.includes('"event":"base"'))
    const [all, well] = await Promise.all([status(), status('app', 'later')])
    expect(all.code).toBe(1)
    expect(all.stdout).toContain(`${join(cwd, 'walsync.yml')}\n`)
    expect(all.stdout).toMatch(/^locked +failing/m)
    expect(all.stdout).toMatch(/^locked: .*locked\.db is locked by another connection/m)
    expect(all.stdout).toMatch(/^later +waiting/m)
    expect(all.stdout).toMatch(/^later: there is no file yet$/m)
    expect(well.code).toBe(0)
    locked.close()
  })

  it('asks at the socket that --socket names, and a watcher ends without leaving it', async () => {
    const socket = join(env.WALSYNC_RUN_DIR, '..', 's.sock')
    const cli = await watch(['app.db', '-b', './replica', '--socket', socket])
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    expect(await status('--socket', socket)).toMatchObject({ code: 0 })
    const second = await runCli(['watch', 'app.db', '-b', './other', '--socket', socket], { cwd })
    expect(second.code).toBe(2)
    expect(second.stderr).toMatch(/^error: .*s\.sock is the socket of another process\.$/m)
    cli.process.kill('SIGTERM')
    expect((await cli.ended).code).toBe(0)
    expect(existsSync(socket)).toBe(false)
    expect(await status('--socket', socket)).toMatchObject({
      code: 1,
      stdout: `No watcher answers at ${socket}.\n`,
    })
  })

  it('replication continues with a warning if no socket can be opened; --no-status opens none', async () => {
    writeFileSync(env.WALSYNC_RUN_DIR, 'a file')
    const cli = await watch(['app.db', '-b', './replica'])
    cli.process.kill('SIGTERM')
    const { code, stderr } = await cli.ended
    expect(code).toBe(0)
    expect(stderr.match(/walsync status cannot ask this process/g)).toHaveLength(1)
    rmSync(env.WALSYNC_RUN_DIR)
    await watch(['app.db', '-b', './replica', '--no-status'], '"event":"resumed"')
    expect(existsSync(env.WALSYNC_RUN_DIR)).toBe(false)
  })

  it('refuses a path that a socket cannot have', async () => {
    const long = `/tmp/${'x'.repeat(120)}.sock`
    const file = join(cwd, 'app.db')
    const [tooLong, taken] = await Promise.all([
      runCli(['watch', 'app.db', '-b', './replica', '--socket', long], { cwd }),
      runCli(['watch', 'app.db', '-b', './replica', '--socket', file], { cwd: tmpdir() }),
    ])
    expect(tooLong.code).toBe(2)
    expect(tooLong.stderr).toMatch(/longer than the 10[37] bytes that a socket may have/)
    expect(taken.code).toBe(2)
    expect(existsSync(file)).toBe(true)
  })
})

describe('asking', () => {
  const { signal } = new AbortController()

  it('names a socket on which no watcher answers', async () => {
    const path = join(env.WALSYNC_RUN_DIR, '..', 'odd.sock')
    const server = createServer((socket) => socket.end('hello'))
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const { failures, watchers } = await askWatcher(path, signal)
    expect({ failures, watchers }).toMatchObject({ failures: [{ socket: path }], watchers: [] })
    server.close()
  })

  it('says that a watcher answers in an unknown format', async () => {
    const path = join(env.WALSYNC_RUN_DIR, '..', 'new.sock')
    const server = createServer((socket) => socket.end('{"v":2,"id":1,"result":{}}\n'))
    await new Promise<void>((resolve) => server.listen(path, resolve))
    const { failures } = await askWatcher(path, signal)
    expect(failures[0]?.error).toMatch(/version 2 of the protocol; this walsync speaks 1/)
    server.close()
  })

  it('does not believe a folder that others can write', async () => {
    mkdirSync(env.WALSYNC_RUN_DIR, { mode: 0o700 })
    expect(await askWatchers(env.WALSYNC_RUN_DIR, signal)).toEqual({ watchers: [], failures: [] })
    const mine = statSync(env.WALSYNC_RUN_DIR)
    const as = (changes: object) =>
      folderProblem('/run/x', Object.assign(Object.create(mine), changes))
    expect(as({})).toBeUndefined()
    expect(as({ mode: mine.mode | 0o020 })).toMatch(/can be written by other users/)
    expect(as({ uid: mine.uid + 1 })).toMatch(/belongs to another user/)
  })

  it('a client that does not read holds nothing up', async () => {
    const cli = await watch(['app.db', '-b', './replica'])
    const socket = connect(join(env.WALSYNC_RUN_DIR, `${cli.process.pid}.sock`))
    socket.pause()
    expect((await status()).code).toBe(0)
    cli.process.kill('SIGTERM')
    // Without an end for the client this would never come.
    expect((await cli.ended).code).toBe(0)
    socket.destroy()
  })
})

describe('run folders and sockets', () => {
  it('are those of the environment, the session, or the user', () => {
    expect(runFolder({ WALSYNC_RUN_DIR: '/run/w', XDG_RUNTIME_DIR: '/run/user/7' })).toBe('/run/w')
    expect(runFolder({ XDG_RUNTIME_DIR: '/run/user/7' })).toBe('/run/user/7/walsync')
    expect(runFolder({})).toBe(join(tmpdir(), `walsync-${process.getuid?.()}`))
    expect(socketIn('/run/w', 42)).toBe('/run/w/42.sock')
    expect(socketIn('/run/w', 42, '-1')).toBe('/run/w/42-1.sock')
    expect(
      ['42.sock', '42-1.sock', '42', 'x.sock', '42.sock.tmp'].map((n) => pidOf('/run/w', n)),
    ).toEqual([42, 42, undefined, undefined, undefined])
  })

  it('have a bounded path', () => {
    assertSocketPath(`/${'x'.repeat(102)}`)
    expect(() => assertSocketPath(`/${'x'.repeat(107)}`)).toThrow(/longer than the/)
  })
})

describe('what counts as trouble', () => {
  const none = { pendingFiles: 0, walBytes: 0, spoolBytes: 0 }
  const status: StatusOfDatabase = { name: 'a', path: '', state: 'replicating', ...none }
  const of = (more: Partial<StatusOfDatabase>): boolean => isInTrouble({ ...status, ...more })
  it.each(['starting', 'waiting', 'replicating', 'behind', 'ending'] as const)(
    '%s does not',
    (state) => {
      expect(of({ state })).toBe(false)
    },
  )
  it.each(['failing', 'fenced', 'stopped'] as const)('%s does', (state) => {
    expect(of({ state })).toBe(true)
  })
  it('a lag above the limit does', () => {
    expect(isInTrouble({ ...status, lagMs: 5001 }, { maxLagMs: 5000 })).toBe(true)
    expect(isInTrouble({ ...status, lagMs: 5000 }, { maxLagMs: 5000 })).toBe(false)
    expect(of({ lagMs: 1e9 })).toBe(false)
  })
  it('a database that was there and has been gone for a minute does', () => {
    const since = new Date('2026-01-01T00:00:00Z')
    const gone = { ...status, state: 'waiting', waitingSince: since.toISOString() } as const
    expect(isInTrouble(gone, {}, since.getTime() + 59_000)).toBe(false)
    expect(isInTrouble(gone, {}, since.getTime() + 60_000)).toBe(true)
  })
  it('an error that is not over does', () => {
    expect(of({ lastError: 'the store is away' })).toBe(true)
  })
})

describe('spans of time', () => {
  it.each([
    [0, '0'],
    [80, '80 ms'],
    [12_400, '12 s'],
    [60_000, '1 min'],
    [61_000, '1 min 1 s'],
    [12_000_000, '3 h 20 min'],
    [86_400_000 * 3 + 5 * 3_600_000, '3 d 5 h'],
  ])('%d ms is %s', (ms, expected) => {
    expect(formatSpan(ms)).toBe(expected)
  })
})
