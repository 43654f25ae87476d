import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { layOut } from './legacy-bucket.ts'
import { runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const STUCK = fileURLToPath(new URL('plugins/stuck-store.ts', import.meta.url))

const folder = scratchFolder()
const cwd = folder.path
/** Rows at the snapshot in `first`, and at the later one in `second`. */
const states: unknown[][] = []
let between = ''

beforeAll(async () => {
  const db = sampleDatabase(join(cwd, 'app.db'), 20)
  for (const replica of ['first', 'second']) {
    const taken = await runCli(['snapshot', 'app.db', '-b', `./${replica}`], { cwd })
    expect(taken).toMatchObject({ code: 0, stderr: '' })
    states.push(rowsOf(join(cwd, 'app.db')))
    between ||= new Date().toISOString()
    addRows(db, 20)
  }
  db.close()
}, 120_000)
afterAll(() => folder.remove())

interface Report {
  readonly databases: {
    name: string
    path?: string
    outcome: string
    txid?: string
    error?: { code: string }
    warnings?: string[]
  }[]
}

const restoreAll = (bucket: string, output: string, ...words: string[]) =>
  runCli(['restore', '--all', '-b', bucket, '-o', output, ...words], { cwd })

/** A store with a replica for each name: copies of the one in `first`, or of that in `second` for `late`. */
function storeOf(store: string, names: readonly string[]): string {
  for (const name of names) {
    const source = name.startsWith('late') ? 'second' : 'first'
    cpSync(join(cwd, source, 'app'), join(cwd, store, name), {
      recursive: true,
      preserveTimestamps: true,
    })
  }
  return `./${store}`
}

/** All files under a folder, also hidden ones, in order. */
function filesIn(output: string): string[] {
  return readdirSync(join(cwd, output), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(cwd, output).length + 1))
    .sort()
}

/** Spoils the newest file of a replica, which keeps its time. */
function damage(store: string, name: string): void {
  const level = join(cwd, store, name, 'ltx/9')
  const file = join(level, readdirSync(level).at(-1) as string)
  const { atime, mtime } = statSync(file)
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1]! ^= 0xff
  writeFileSync(file, bytes)
  utimesSync(file, atime, mtime)
}

describe('restore --all', () => {
  it('restores every database of a store into a folder with a space in its name', async () => {
    const store = storeOf('plain', ['app', 'my.app', 'a', 'a.db', 'tenants/acme', 'tenants/b/deep'])
    const { code, stdout, stderr } = await restoreAll(store, 'all of it')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(filesIn('all of it')).toEqual([
      'a.db',
      'a.db.db',
      'app.db',
      'my.app.db',
      'tenants/acme.db',
      'tenants/b/deep.db',
    ])
    for (const file of filesIn('all of it')) {
      expect(rowsOf(join(cwd, 'all of it', file))).toEqual(states[0])
    }
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^DATABASE +RESULT +TXID +TIME +SIZE +FILE$/)
    expect(lines).toContainEqual(
      expect.stringMatching(/^tenants\/acme +restored +1 +\S+Z +[\d.]+ kB +tenants\/acme\.db$/),
    )
    expect(lines.at(-1)).toMatch(/^restored 6 of 6 databases from file:\S+plain to .*all of it$/)
  })

  it('keeps files that are there with --if-missing, refuses them without, replaces them with --force', async () => {
    const store = storeOf('twice', ['app', 'other'])
    mkdirSync(join(cwd, 'twice-out'))
    writeFileSync(join(cwd, 'twice-out/app.db'), 'precious')
    const refused = await restoreAll(store, 'twice-out', '--json')
    expect(refused).toMatchObject({ code: 2, stderr: '' })
    expect(JSON.parse(refused.stdout)).toMatchObject({
      databases: [
        { name: 'app', outcome: 'failed', error: { code: 'TargetExists', exitCode: 2 } },
        { name: 'other', outcome: 'restored', txid: '0000000000000001', warnings: [] },
      ],
    })
    const kept = await restoreAll(store, 'twice-out', '--if-missing')
    expect(kept).toMatchObject({ code: 0, stdout: expect.stringMatching(/^app +present /m) })
    expect(kept.stdout).toContain('restored 0 of 2 databases')
    expect(kept.stdout).toContain('2 already there')
    expect(readFileSync(join(cwd, 'twice-out/app.db'), 'utf8')).toBe('precious')
    expect(await restoreAll(store, 'twice-out', '--force')).toMatchObject({ code: 0 })
    expect(rowsOf(join(cwd, 'twice-out/app.db'))).toEqual(states[0])
  })

  it('restores four of five, and exits with 5, if one is damaged', async () => {
    const names = ['one', 'two', 'nested/three', 'four', 'five']
    const store = storeOf('damaged', names)
    damage('damaged', 'nested/three')
    const { code, stdout, stderr } = await restoreAll(store, 'damaged-out', '--parallelism', '1')
    expect({ code, stderr }).toEqual({ code: 5, stderr: '' })
    expect(stdout).toMatch(/^nested\/three +failed/m)
    expect(stdout).toMatch(/^nested\/three: .*ltx\/9\/.*\n {2}try: Copy the object back/m)
    expect(stdout).toContain('restored 4 of 5 databases')
    expect(filesIn('damaged-out')).toEqual(['five.db', 'four.db', 'one.db', 'two.db'])
    expect(existsSync(join(cwd, 'damaged-out/nested'))).toBe(false)
    for (const file of filesIn('damaged-out')) {
      expect(rowsOf(join(cwd, 'damaged-out', file))).toEqual(states[0])
    }
  })

  it('restores each database to a time; one that began later fails with 6, and damage with 5 counts for more', async () => {
    const store = storeOf('times', ['app', 'late'])
    const time = ['--timestamp', between, '--json', '--integrity-check', 'none']
    const { code, stdout } = await restoreAll(store, 'times-out', ...time)
    expect(code).toBe(6)
    const report = JSON.parse(stdout) as Report
    expect(report.databases).toMatchObject([
      { name: 'app', outcome: 'restored', integrityCheck: 'none' },
      { name: 'late', outcome: 'failed', error: { code: 'TargetNotReachable' } },
    ])
    expect(filesIn('times-out')).toEqual(['app.db'])
    damage('times', 'app')
    expect(await restoreAll(store, 'times-out', '--force', ...time)).toMatchObject({ code: 5 })
    expect(rowsOf(join(cwd, 'times-out/app.db'))).toEqual(states[0])
  })

  it('shows with --dry-run what would be restored, and writes nothing', async () => {
    const store = storeOf('dry', ['app', 'tenants/acme'])
    const { code, stdout } = await restoreAll(store, 'dry-out', '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^DATABASE +RESULT +TXID +TIME +TO READ +FILE\napp +planned +1 /)
    expect(stdout).toContain('would restore 2 of 2 databases')
    const json = await restoreAll(store, 'dry-out', '--dry-run', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({
      folder: join(cwd, 'dry-out'),
      databases: [{ outcome: 'planned', files: [{ level: 9 }] }, { outcome: 'planned' }],
    })
    expect(existsSync(join(cwd, 'dry-out'))).toBe(false)
  })

  it('refuses a name that would leave the folder, and restores the others', async () => {
    const store = storeOf('evil', ['app', '=2E=2E/evil', 'x/=2E=2E=2F=2E=2E=2Fevil'])
    const { code, stdout } = await restoreAll(store, 'evil-out/inner')
    expect(code).toBe(2)
    expect(stdout.match(/would leave the folder/g)).toHaveLength(2)
    expect(filesIn('evil-out')).toEqual(['inner/app.db'])
  })

  it('exits with 6 for a store without replicas, with 0 if --if-replica-exists allows it, with 4 for no store', async () => {
    mkdirSync(join(cwd, 'empty'))
    const none = await restoreAll('./empty', 'empty-out')
    expect(none).toMatchObject({
      code: 6,
      stdout: '',
      stderr: expect.stringMatching(/^error: No databases in file:.*empty\.\n {2}try: .*-b\.\n$/),
    })
    const allowed = await restoreAll('./empty', 'empty-out', '--if-replica-exists')
    expect(allowed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^nothing restored: /) })
    const missing = await restoreAll('./nowhere', 'empty-out', '--if-replica-exists')
    expect(missing).toMatchObject({ code: 4, stdout: '' })
    expect(existsSync(join(cwd, 'empty-out'))).toBe(false)
  })

  it('restores replicas of walsync 0.1 with their grade, and names what it cannot read', async () => {
    const store = storeOf('old', ['new'])
    layOut('plain', join(cwd, 'old/complete'))
    layOut('truncate', join(cwd, 'old/doubtful'))
    mkdirSync(join(cwd, 'old/foreign/generations/0123456789abcdef/snapshots'), { recursive: true })
    writeFileSync(
      join(cwd, 'old/foreign/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4'),
      'x',
    )
    const { code, stdout } = await restoreAll(store, 'old-out', '--json')
    expect(code).toBe(5)
    const report = JSON.parse(stdout) as Report
    expect(report.databases).toMatchObject([
      { name: 'new', outcome: 'restored' },
      { name: 'complete/app', outcome: 'restored', format: 'walsync-0.1', grade: 'complete' },
      {
        name: 'doubtful/app',
        outcome: 'restored',
        grade: 'unverifiable',
        warnings: [expect.stringMatching(/^unverifiable/)],
      },
      { name: 'foreign', outcome: 'failed', error: { code: 'UnreadableFormat' } },
    ])
    expect(filesIn('old-out')).toEqual(['complete/app.db', 'doubtful/app.db', 'new.db'])
  })

  it('SIGINT in the middle: complete files stay, and no other', async () => {
    storeOf('stuck', ['app', 'late/one', 'late/two'])
    const url = `stuck://${encodeURI(join(cwd, 'stuck'))}?only=late`
    const args = ['restore', '--all', '-b', url, '--plugin', STUCK, '-o', 'cut', '-q']
    const cli = startCli(args, { cwd })
    await vi.waitFor(() => {
      const files = filesIn('cut')
      expect(files).toContain('app.db')
      expect(files.filter((file) => file.startsWith('late/.walsync-'))).toHaveLength(2)
    }, 20_000)
    cli.process.kill('SIGINT')
    const { code, stdout, stderr } = await cli.ended
    expect({ code, stderr }).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('Interrupted by SIGINT.'),
    })
    expect(stdout).toMatch(/^late\/one +interrupted/m)
    expect(stdout).toContain('restored 1 of 3 databases')
    expect(stdout).toContain('--if-missing')
    expect(readdirSync(join(cwd, 'cut'))).toEqual(['app.db'])
    expect(rowsOf(join(cwd, 'cut/app.db'))).toEqual(states[0])
  })

  it.each([
    ['a name', ['app'], 'a name was given too'],
    ['a TXID', ['--txid', '1'], '--timestamp'],
    ['--force and --if-missing', ['--force', '--if-missing'], 'contradict each other'],
  ])('refuses %s', async (_what, words, says) => {
    const { code, stderr } = await restoreAll('./first', 'never', ...words)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(says) })
  })

  it('refuses a file as the folder, and neither a name nor --all', async () => {
    const file = await restoreAll('./first', 'app.db')
    expect(file).toMatchObject({ code: 2, stderr: expect.stringContaining('is not a folder') })
    const none = await runCli(['restore', '-b', './first', '-o', 'x.db'], { cwd })
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('or --all') })
  })
})
