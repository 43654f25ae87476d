import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readBucket, rowsIn } from '../legacy/bucket.ts'
import { filesUnder, layOut } from './legacy-bucket.ts'
import { runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

const run = (...words: string[]) => runCli(words, { cwd })
const restore = (name: string, bucket: string, output: string, ...words: string[]) =>
  run('restore', name, '-b', bucket, '-o', output, ...words)

describe('a bucket of walsync 0.1', () => {
  const outcomes = [
    ['plain', 0, 'complete', 20],
    ['snapshots', 0, 'complete', 50],
    ['vacuum', 0, 'complete', 40],
    ['autocheckpoint', 5, 'truncated', 33],
    ['truncate', 5, 'unverifiable', 70],
    ['rollback', 5, 'truncated', 5],
  ] as const
  const at = (label: string) => `./old/${label}`
  beforeAll(() => {
    for (const [label] of outcomes) layOut(label, join(cwd, at(label)))
    layOut('glued-prefix', join(cwd, 'glued'))
  })

  it.concurrent.each(outcomes)(
    '"%s" is restored, with %d and the grade %s',
    async (label, code, grade, rows) => {
      const output = `${label}.db`
      const { stdout, stderr, code: ended } = await restore('app', at(label), output, '--json')
      expect(ended).toBe(code)
      const result = JSON.parse(stdout) as { segments: string[]; reasons: unknown[] }
      expect(result).toMatchObject({
        name: 'app',
        path: join(cwd, output),
        format: 'walsync-0.1',
        grade,
        upTo: expect.stringMatching(/^2026-11-24T03:1/),
        statement: expect.stringMatching(new RegExp(`^${grade}`)),
        integrityCheck: 'full',
        rejected: [],
      })
      expect(result.segments.every((key) => existsSync(join(cwd, at(label), key)))).toBe(true)
      expect(result.reasons.length > 0).toBe(code === 5)
      expect(stderr.includes(`app: ${grade}`)).toBe(code === 5)
      const found = rowsIn(join(cwd, output))
      expect(found.rows).toBe(rows)
      const states = readBucket(label).source.map(({ sha256 }) => sha256)
      if (label !== 'autocheckpoint') expect(states).toContain(found.sha256)
    },
  )

  it('with a prefix concatenated with the name is found by the URL that was used then', async () => {
    const { code, stdout, stderr } = await restore('app', './glued/backups', 'glued.db')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^restored app to .*glued\.db, from a replica of walsync 0\.1 \(backupsapp\/ in .*\n {2}state: complete up to 2026-11-24T03:17:22\.434Z: .*It is unknown whether.*\n {2}database: 16\.4 kB, full integrity check ok\n/,
    )
    expect(readBucket('glued-prefix').source[0]).toMatchObject(rowsIn(join(cwd, 'glued.db')))
    expect(await restore('backupsapp', './glued', 'whole.db')).toMatchObject({ code: 0 })
    expect(rowsIn(join(cwd, 'whole.db')).rows).toBe(20)
  })

  it('goes back to a time, prints a plan, and has no TXIDs', async () => {
    const time = ['--point-in-time', '2026-11-24T03:17:00.900Z']
    expect(await restore('app', at('truncate'), 'then.db', ...time)).toMatchObject({ code: 0 })
    expect(rowsIn(join(cwd, 'then.db')).rows).toBe(30)
    const early = ['--point-in-time', '2026-11-24T03:16:00Z']
    expect(await restore('app', at('truncate'), 'no.db', ...early)).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('does not go back to'),
    })
    const plan = await restore('app', at('snapshots'), 'no.db', '--dry-run')
    expect(plan).toMatchObject({ code: 0, stderr: '' })
    expect(plan.stdout).toMatch(
      /^Restore the latest state from a replica of walsync 0\.1 .*\n {2}state: complete up to .*\n {2}wal\/00000001-20261124031715193\.wal {2}4120 bytes\n/,
    )
    expect(await restore('app', at('plain'), 'no.db', '--txid', '1')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^error: A replica of walsync 0\.1 has no TXIDs\.\n {2}try: /),
    })
    expect(existsSync(join(cwd, 'no.db'))).toBe(false)
  })

  it('that gives only corrupt databases leaves no file', async () => {
    layOut('vacuum', join(cwd, 'corrupt'))
    rmSync(join(cwd, 'corrupt/app/wal'), { recursive: true })
    const [snapshot] = readdirSync(join(cwd, 'corrupt/app/snapshots'))
    const path = join(cwd, 'corrupt/app/snapshots', snapshot as string)
    writeFileSync(path, readFileSync(path).fill(0xff, 100, 200))
    const { code, stderr } = await restore('app', './corrupt', 'corrupt.db')
    expect(code).toBe(5)
    expect(stderr).toMatch(
      /^error: SQLite finds the database corrupt .*\n {2}try: .*--point-in-time/,
    )
    expect(existsSync(join(cwd, 'corrupt.db'))).toBe(false)
  })

  it('is listed as such, even if the prefix was concatenated with the name', async () => {
    const { stdout } = await run('list', '-b', at('snapshots'))
    const [heading, row, note] = stdout.split('\n')
    expect(heading).toMatch(/^DATABASE .* TXIDS$/)
    expect(row).toMatch(
      /^app +5 +61 +[\d.]+ kB +2026-11-24T03:17:17.000Z +2026-11-24T03:17:09.000Z +2026-11-24T03:17:17.000Z +walsync 0\.1$/,
    )
    expect(note).toMatch(/^app: a replica of walsync 0\.1, 56 WAL segments; run walsync verify/)
    const glued = await run('list', '-b', './glued/backups', '--json')
    expect(JSON.parse(glued.stdout)).toMatchObject({
      databases: [
        { name: 'app', format: 'walsync-0.1', folder: 'backupsapp', snapshots: 1, segments: 21 },
      ],
      unreadable: [],
    })
    const wrong = await restore('ap', at('plain'), 'no.db')
    expect(wrong).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('try: Use one of: app.\n'),
    })
  })
})

describe('verify', () => {
  it('grades a replica of walsync 0.1 by its log: 0 for complete, otherwise 5', async () => {
    const good = await run('verify', 'app', '-b', './old/plain')
    expect(good).toMatchObject({ code: 0, stderr: '' })
    expect(good.stdout).toMatch(
      /^app: a replica of walsync 0\.1, snapshots: 1, WAL segments: 21, of which a restore replays 21\n {2}complete up to /,
    )
    const bad = await run('verify', 'app', '-b', './old/rollback', '--json')
    expect(bad.code).toBe(5)
    expect(JSON.parse(bad.stdout)).toMatchObject({
      name: 'app',
      format: 'walsync-0.1',
      grade: 'truncated',
      reasons: [{ code: 'uncommitted' }],
    })
    expect(await run('verify', 'app', '-b', './old/plain', '--restore')).toMatchObject({ code: 2 })
  })
})

describe('a replica of Litestream 0.3', () => {
  beforeAll(() => {
    const generation = join(cwd, 'litestream/db/generations/0123456789abcdef')
    mkdirSync(join(generation, 'snapshots'), { recursive: true })
    writeFileSync(join(generation, 'snapshots/00000000.snapshot.lz4'), 'x')
  })

  it('is one line of the list', async () => {
    expect(await run('list', '-b', './litestream')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^db: a replica of Litestream 0\.3, which walsync does not read\. .*0\.5\.7.*\n$/,
      ),
    })
    const json = await run('list', '-b', './litestream', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({
      databases: [],
      unreadable: [{ name: 'db', format: 'litestream-0.3' }],
    })
  })

  it('is not restored, but refused with 6, what it is, and what can read it', async () => {
    expect(await restore('db', './litestream', 'no.db')).toMatchObject({
      code: 6,
      stdout: '',
      stderr: expect.stringMatching(
        /^error: "db" in .* is a replica of Litestream 0\.3, which walsync does not read\.\n {2}try: Restore it with Litestream .*0\.5\.7/,
      ),
    })
  })
})

describe('watch onto the prefix of a database of walsync 0.1', () => {
  it('begins a new replica next to the old one and leaves that untouched; each restores its own period', async () => {
    const replica = join(cwd, 'both')
    layOut('plain', replica)
    const before = filesUnder(replica)
    const db = sampleDatabase(join(cwd, 'app.db'), 10)
    const cli = startCli(['watch', 'app.db', '-b', './both', '--json'], { cwd })
    await cli.line((line) => line.includes('"event":"base"'))
    addRows(db, 5)
    cli.process.kill('SIGTERM')
    expect((await cli.ended).code).toBe(0)

    const after = filesUnder(replica)
    for (const [path, content] of before) expect(after.get(path)).toBe(content)
    const added = [...after.keys()].filter((path) => !before.has(path))
    expect(added.filter((path) => !/^app\/(?:ltx|walsync)\//.test(path))).toEqual([])
    expect(added.some((path) => path.endsWith('.ltx'))).toBe(true)
    const listed = JSON.parse((await run('list', '-b', './both', '--json')).stdout) as {
      databases: { name: string; format: string }[]
    }
    expect(listed.databases.map(({ name, format }) => `${name} ${format}`)).toEqual([
      'app ltx',
      'app walsync-0.1',
    ])

    const newest = await restore('app', './both', 'new.db')
    expect(newest).toMatchObject({ code: 0, stderr: '' })
    expect(rowsOf(join(cwd, 'new.db'))).toEqual(rowsOf(join(cwd, 'app.db')))
    const old = await restore('app', './both', 'old.db', '--point-in-time', '2026-11-24T03:17:00Z')
    expect(old).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('a replica of walsync 0.1'),
    })
    expect(rowsIn(join(cwd, 'old.db')).rows).toBe(20)
    db.close()
  })
})
