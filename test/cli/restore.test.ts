import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const STUCK = fileURLToPath(new URL('plugins/stuck-store.ts', import.meta.url))

const folder = scratchFolder()
const cwd = folder.path
const level9 = join(cwd, 'replica/app/ltx/9')
let db: DatabaseSync
/** Rows after each of three snapshots. */
const states: unknown[][] = []
const times: string[] = []

beforeAll(async () => {
  db = sampleDatabase(join(cwd, 'app.db'), 20)
  for (let i = 0; i < 3; i++) {
    const taken = await runCli(['snapshot', 'app.db', '-b', './replica'], { cwd })
    expect(taken).toMatchObject({ code: 0, stderr: '' })
    states.push(rowsOf(join(cwd, 'app.db')))
    times.push(new Date().toISOString())
    addRows(db, 20)
  }
}, 120_000)
afterAll(() => {
  db.close()
  folder.remove()
})

const restore = (...words: string[]) => runCli(['restore', ...words, '-b', './replica'], { cwd })

describe('snapshot', () => {
  it('says what it stored, and --json says the same', async () => {
    const other = sampleDatabase(join(cwd, 'other.db'), 5)
    const first = await runCli(['snapshot', 'other.db', '-b', './snaps'], { cwd })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/^other: snapshot stored, TXID 1, [\d.]+ k?B\n$/)
    const again = await runCli(['snapshot', 'other.db', '-b', './snaps'], { cwd })
    expect(again.stdout).toBe('other: a snapshot of this very state already exists, TXID 1\n')
    addRows(other, 1)
    const json = await runCli(['snapshot', 'other.db', '-b', './snaps', '--json'], { cwd })
    expect(JSON.parse(json.stdout)).toMatchObject({
      name: 'other',
      skipped: false,
      bytes: expect.any(Number),
    })
    other.close()
  })

  it('refuses a file that is not a database in WAL mode, with 3 and without writing', async () => {
    writeFileSync(
      join(cwd, 'text.db'),
      'not a database, but long enough to look like one'.repeat(100),
    )
    const { code, stderr } = await runCli(['snapshot', 'text.db', '-b', './never'], { cwd })
    expect(code).toBe(3)
    expect(stderr).toMatch(/^error: .*text\.db.*\n {2}try: /)
    expect(existsSync(join(cwd, 'never'))).toBe(false)
  })
})

describe('list', () => {
  it('shows snapshots, files, size, newest time and what can be restored', async () => {
    const { code, stdout, stderr } = await runCli(['list', '-b', './replica'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [heading, row] = stdout.split('\n')
    expect(heading).toMatch(
      /^DATABASE +SNAPSHOTS +FILES +SIZE +NEWEST +RESTORABLE FROM +TO +TXIDS$/,
    )
    expect(row).toMatch(/^app +3 +\d+ +[\d.]+ k?B +\d{4}-\S+Z +\d{4}-\S+Z +\d{4}-\S+Z +1 to \w+$/)
  })

  it('warns of a clock that was ahead, on stderr and as JSON', async () => {
    const other = sampleDatabase(join(cwd, 'ahead.db'), 5)
    const shift = 'const now=Date.now;Date.now=()=>now()+400*864e5'
    const ahead = ['--import', `data:text/javascript,${encodeURIComponent(shift)}`]
    const take = (node: readonly string[]) =>
      runCli(['snapshot', 'ahead.db', '-b', './ahead'], { cwd, node })
    expect(await take([])).toMatchObject({ code: 0 })
    const rows = rowsOf(join(cwd, 'ahead.db'))
    for (const node of [ahead, []]) {
      addRows(other, 5)
      expect(await take(node)).toMatchObject({ code: 0 })
    }
    other.close()
    const args = ['--point-in-time', '0s ago', '-b', './ahead', '--json']
    const words = ['restore', 'ahead', '-o', 'before.db', ...args]
    for (const more of [['--dry-run'], []]) {
      const { code, stdout, stderr } = await runCli([...words, ...more], { cwd })
      const { txid, time, warnings } = JSON.parse(stdout)
      expect({ code, txid, time }).toMatchObject({ txid: '0000000000000001', code: 0 })
      expect(warnings).toEqual([expect.stringMatching(/TXID 0{15}2, .*in the future.*--txid/)])
      expect(stderr).toContain('in the future')
    }
    expect(rowsOf(join(cwd, 'before.db'))).toEqual(rows)
  })

  it('says the same as JSON', async () => {
    const { stdout } = await runCli(['list', '-b', './replica', '--json'], { cwd })
    const { databases } = JSON.parse(stdout) as { databases: Record<string, unknown>[] }
    expect(databases).toHaveLength(1)
    expect(databases[0]).toMatchObject({
      name: 'app',
      snapshots: 3,
      gaps: [],
      restorable: { from: '0000000000000001', to: expect.stringMatching(/^[0-9a-f]{16}$/) },
    })
  })

  it('says plainly that a store is empty, and that a folder is missing', async () => {
    mkdirSync(join(cwd, 'empty'))
    const empty = await runCli(['list', '-b', './empty'], { cwd })
    expect(empty).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^No databases in file:.*empty\.\n$/),
    })
    const missing = await runCli(['list', '-b', './nowhere'], { cwd })
    expect(missing).toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringContaining('nowhere does not exist'),
    })
  })
})

describe('restore', () => {
  it('restores the last state, prints what it did, and draws no progress bar into a pipe', async () => {
    const { code, stdout, stderr } = await restore('app', '-o', 'latest.db')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^restored app to .*latest\.db\n {2}state: TXID \w+, \S+Z\n {2}database: .*full integrity check ok\n/,
    )
    expect(rowsOf(join(cwd, 'latest.db'))).toEqual(states[2])
  })

  it('brings back a TXID and a time', async () => {
    expect(await restore('app', '-o', 'txid.db', '--txid', '1')).toMatchObject({ code: 0 })
    expect(rowsOf(join(cwd, 'txid.db'))).toEqual(states[0])
    expect(await restore('app', '-o', 'time.db', '--point-in-time', times[1]!)).toMatchObject({
      code: 0,
    })
    expect(rowsOf(join(cwd, 'time.db'))).toEqual(states[1])
  })

  it('says the same as JSON', async () => {
    const { stdout } = await restore('app', '-o', 'json.db', '--json', '--integrity-check', 'none')
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'app',
      path: join(cwd, 'json.db'),
      txid: expect.stringMatching(/^[0-9a-f]{16}$/),
      integrityCheck: 'none',
      avoided: [],
    })
  })

  it('refuses an existing file without --force, and leaves it as it is', async () => {
    writeFileSync(join(cwd, 'precious.db'), 'precious')
    const refused = await restore('app', '-o', 'precious.db')
    expect(refused).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('--force'),
    })
    expect(readFileSync(join(cwd, 'precious.db'), 'utf8')).toBe('precious')
    expect(await restore('app', '-o', 'precious.db', '--force')).toMatchObject({ code: 0 })
    expect(rowsOf(join(cwd, 'precious.db'))).toEqual(states[2])
  })

  it('prints the plan and writes nothing with --dry-run', async () => {
    const before = readdirSync(cwd)
    const { code, stdout } = await restore('app', '-o', 'dry.db', '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Restore the latest state: TXID [0-9a-f]{16}/)
    const json = await restore('app', '-o', 'dry.db', '--dry-run', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({
      files: expect.any(Array),
      bytes: expect.any(Number),
    })
    expect(readdirSync(cwd)).toEqual(before)
  })

  it.each([
    [
      'a name that is not there',
      ['ap'],
      /^error: There is no database "ap" in .*\n {2}try: Use one of: app\.\n$/,
    ],
    [
      'a time before the first state',
      ['app', '--point-in-time', '2001-01-01T00:00:00Z'],
      /^error: .+\n {2}try: .+\n$/,
    ],
    ['a TXID that does not exist', ['app', '--txid', '0xffff'], /^error: .+\n {2}try: .+\n$/],
  ])('%s: 6, and no file', async (_what, words, says) => {
    const { code, stderr } = await restore(...words, '-o', 'unreachable.db')
    expect(code).toBe(6)
    expect(stderr).toMatch(says)
    expect(readdirSync(cwd).filter((name) => name.includes('unreachable'))).toEqual([])
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('%s in the middle: %d, one error, and nothing left behind', async (signal, code) => {
    const url = `stuck://${encodeURI(join(cwd, 'replica'))}`
    const before = readdirSync(cwd)
    const args = ['restore', 'app', '-b', url, '--plugin', STUCK, '-o', 'cut.db', '-q']
    const cli = startCli(args, { cwd })
    await vi.waitFor(() => expect(readdirSync(cwd).length).toBeGreaterThan(before.length), 20_000)
    cli.process.kill(signal)
    expect(await cli.ended).toMatchObject({
      code,
      stderr: `error: Interrupted by ${signal}.\n  try: Nothing is half-written: run the command again.\n`,
    })
    expect(readdirSync(cwd)).toEqual(before)
  })

  it('exits with 5 for a damaged object, names it, and writes no file', async () => {
    const damaged = await damage((bytes) => {
      bytes[bytes.length >> 1]! ^= 0xff
    })
    const { code, stderr } = await runCli(
      ['restore', 'app', '-b', damaged.url, '-o', 'damaged.db'],
      { cwd },
    )
    expect(code).toBe(5)
    expect(stderr).toContain(damaged.file)
    expect(
      readdirSync(cwd).filter(
        (name) => name.startsWith('damaged.db') || name.includes('.damaged.db'),
      ),
    ).toEqual([])
  })
})

/** A replica of one snapshot, spoilt. */
async function damage(spoil: (bytes: Buffer) => void): Promise<{ url: string; file: string }> {
  const target = join(cwd, 'spoilt/app/ltx/9')
  mkdirSync(target, { recursive: true })
  const file = readdirSync(level9)[0]!
  const bytes = readFileSync(join(level9, file))
  spoil(bytes)
  writeFileSync(join(target, file), bytes)
  return { url: './spoilt', file }
}

describe('restore before an application starts', () => {
  const options = ['--if-missing', '--if-replica-exists']

  it('restores a file that is missing, and leaves one that exists alone without asking the store', async () => {
    const restored = await restore('app', '-o', 'boot.db', ...options)
    expect(restored).toMatchObject({ code: 0, stderr: '' })
    expect(rowsOf(join(cwd, 'boot.db'))).toEqual(states[2])
    const again = await runCli(
      ['restore', 'app', '-o', 'boot.db', '-b', './nowhere', ...options, '--json'],
      { cwd },
    )
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(again.stdout)).toMatchObject({ restored: false, reason: 'present' })
  })

  it('exits with 0 and writes nothing if there is no such replica', async () => {
    const { code, stdout } = await restore('fresh', '-o', 'fresh.db', ...options)
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'nothing restored: there is no replica of fresh yet\n',
    })
    expect(existsSync(join(cwd, 'fresh.db'))).toBe(false)
  })

  it('does not take a missing store, a damaged replica or a later TXID for a new application', async () => {
    const gone = ['restore', 'app', '-o', 'gone.db', '-b', './nowhere', ...options]
    expect(await runCli(gone, { cwd })).toMatchObject({ code: 4 })
    expect(await restore('app', '-o', 'gone.db', '--txid', '99', ...options)).toMatchObject({
      code: 6,
    })
    mkdirSync(join(cwd, 'replica/broken/ltx/9'), { recursive: true })
    const [snapshot = ''] = readdirSync(level9)
    writeFileSync(join(cwd, 'replica/broken/ltx/9', snapshot), 'damage'.repeat(100))
    expect(await restore('broken', '-o', 'gone.db', ...options)).toMatchObject({ code: 5 })
    expect(existsSync(join(cwd, 'gone.db'))).toBe(false)
  })

  it('does not take a folder in the place of the file for a database', async () => {
    mkdirSync(join(cwd, 'mounted.db'))
    const { code, stderr } = await restore('app', '-o', 'mounted.db', ...options)
    expect(code).toBe(2)
    expect(stderr).toContain('mounted.db is not a regular file.')
  })

  it.each(['-', 'new-folder/'])('refuses the output %s, which names no file', async (output) => {
    expect(await restore('app', '-o', output)).toMatchObject({ code: 2, stdout: '' })
    expect(existsSync(join(cwd, output))).toBe(false)
  })

  it('refuses --force, which asks for the opposite', async () => {
    const { code, stderr } = await restore('app', '-o', 'boot.db', '--if-missing', '--force')
    expect(code).toBe(2)
    expect(stderr).toContain('--force and --if-missing contradict each other.')
  })
})
