import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
const level = (n: number, file: string) => join(cwd, 'replica/app/ltx', String(n), file)
const FIRST = level(9, '0000000000000001-0000000000000001.ltx')
const SECOND = level(0, '0000000000000002-0000000000000002.ltx')
/** Only the system refuses it, when the report is written. */
const TOO_LONG = `${'x'.repeat(300)}.json`
const THIRD = level(0, '0000000000000003-0000000000000003.ltx')
const good = new Map<string, Buffer>()
let db: DatabaseSync

beforeAll(async () => {
  db = sampleDatabase(join(cwd, 'app.db'), 200)
  const watch = startCli(
    ['watch', 'app.db', '--json', '-b', './replica', '--snapshot-interval', '0'],
    {
      cwd,
    },
  )
  await watch.line((line) => /"event":"base"/.test(line))
  for (let n = 2; n <= 3; n++) {
    addRows(db, 20)
    await watch.line((line) =>
      new RegExp(`"event":"synced".*"txid":"000000000000000${n}"`).test(line),
    )
  }
  watch.process.kill('SIGTERM')
  expect((await watch.ended).code).toBe(0)
  for (const path of [FIRST, SECOND, THIRD]) good.set(path, readFileSync(path))
}, 60_000)
afterAll(() => {
  db.close()
  folder.remove()
})
beforeEach(() => {
  for (const [path, bytes] of good) writeFileSync(path, bytes)
  // The time of a file is that of its state; each test begins with the right one.
  for (const path of good.keys()) setTime(path)
})

function setTime(path: string): void {
  const time = new Date(Number((good.get(path) as Buffer).readBigInt64BE(32)))
  utimesSync(path, time, time)
}

function damage(path: string): void {
  const bytes = Buffer.from(good.get(path) as Buffer)
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] as number) ^ 1
  writeFileSync(path, bytes)
  setTime(path)
}

const verify = (...words: string[]) => runCli(['verify', ...words, '-b', './replica'], { cwd })

describe('verify', () => {
  it('of a good replica: one line, and 0', async () => {
    const { code, stdout, stderr } = await verify('app')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const [heading, row, ...rest] = stdout.split('\n')
    expect(heading).toMatch(
      /^DATABASE +VERDICT +CHECKED +FILES +SIZE +DEFECTS +STATES +NEWEST +GOOD UP TO$/,
    )
    expect(row).toMatch(/^app +good +contents +3 +[\d.]+ kB +0 +3 +TXID 3 \S+Z +TXID 3 \S+Z$/)
    expect(rest).toEqual([''])
  })

  it('of a damaged one: object, what is wrong, what it costs, what to do, and 5', async () => {
    damage(SECOND)
    const { code, stdout, stderr } = await verify('app')
    expect({ code, stderr }).toEqual({ code: 5, stderr: '' })
    const lines = stdout.split('\n')
    expect(lines[1]).toMatch(/^app +damaged +contents +3 .* TXID 1 \S+Z$/)
    expect(lines.slice(2)).toEqual([
      'app:',
      expect.stringMatching(/^ {2}Damaged: The object ltx\/0\/0{15}2-0{15}2\.ltx is damaged: /),
      expect.stringMatching(/^ {4}costs TXIDs 2 to 3 \(\S+Z to \S+Z\)$/),
      expect.stringMatching(/^ {2}not restorable: TXIDs 2 to 3 \(/),
      expect.stringMatching(/^ {2}try: Run walsync repair DATABASE --name \S+ -b /),
      '',
    ])
  })

  it('says the same as JSON, one line a replica', async () => {
    damage(SECOND)
    const { code, stdout } = await verify('--all', '--json')
    expect(code).toBe(5)
    expect(stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(JSON.parse(stdout)).toMatchObject({
      name: 'app',
      depth: 'full',
      verdict: 'damaged',
      files: 3,
      filesRead: 3,
      defects: [
        {
          code: 'Damaged',
          key: 'ltx/0/0000000000000002-0000000000000002.ltx',
          cost: [{ from: '0000000000000002', to: '0000000000000003', states: 2 }],
        },
      ],
      restorable: [{ from: '0000000000000001', to: '0000000000000001', states: 1 }],
      latest: { txid: '0000000000000003', restorable: false },
      goodUpTo: { txid: '0000000000000001' },
    })
  })

  it('--quick reads names and sizes, and claims no more', async () => {
    damage(THIRD)
    rmSync(SECOND)
    const { code, stdout } = await verify('app', '--quick')
    expect(code).toBe(5)
    expect(stdout).toMatch(/^app +damaged +names .* not checked$/m)
    expect(stdout).toMatch(
      /^ {2}Gap: No file holds TXID 2, so nothing from there on can be restored\.$/m,
    )
    expect(stdout).not.toContain('Damaged')
  })

  it('ends with 5 even for a defect that costs nothing, and says that it costs nothing', async () => {
    const later = new Date(Date.now() + 60_000)
    utimesSync(SECOND, later, later)
    const { code, stdout } = await verify('app')
    expect(code).toBe(5)
    expect(stdout).toMatch(/^app +degraded .* TXID 3 \S+Z$/m)
    expect(stdout).toMatch(/^ {2}WrongTime: 1 object carries another time than its header, /m)
    expect(stdout).toMatch(/^ {4}costs nothing: a restore can use the objects all the same$/m)
    expect(stdout).toMatch(/^ {2}try: Nothing is lost. Copy the replica again with its times /m)
  })

  it('ends with 6 for an unknown name, after it has reported the others, and for an empty store', async () => {
    const { code, stdout, stderr } = await verify('app', 'ap')
    expect(code).toBe(6)
    expect(stdout).toMatch(/^app +good /m)
    expect(stderr).toMatch(/^error: There is no database "ap" in .*\n {2}try: Use one of: app\.\n$/)
    mkdirSync(join(cwd, 'empty'))
    const empty = await runCli(['verify', '--all', '-b', './empty'], { cwd })
    expect(empty).toMatchObject({ code: 6, stdout: '' })
    expect(empty.stderr).toMatch(/^error: No databases in file:.*empty\.$/m)
  })

  it('refuses one database for more than one replica with 2', async () => {
    const { code, stdout, stderr } = await verify('--all', '--database', 'app.db')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Verify that replica alone')
  })
})

describe('verify --restore', () => {
  const scratch = join(cwd, 'tmp')
  const run = (...words: string[]) =>
    runCli(['verify', 'app', ...words, '-b', './replica'], { cwd, env: { TMPDIR: scratch } })

  it('restores to a scratch folder, compares with the live database, and cleans up', async () => {
    mkdirSync(scratch)
    const { code, stdout, stderr } = await run('--restore', '--database', 'app.db')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ {2}restore: TXID 3, [\d.]+ kB in \d+ ms, full integrity check ok$/m)
    expect(stdout).toMatch(/^ {2}database: identical in all \d+ pages$/m)
    expect(readdirSync(scratch)).toEqual([])
  })

  it('says why the newest state cannot be restored, with 5', async () => {
    damage(THIRD)
    const { code, stdout } = await run('--restore', '--json')
    expect(code).toBe(5)
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'damaged',
      restore: { restored: false, code: 'DamagedObject' },
    })
    expect(readdirSync(scratch)).toEqual([])
  })
})

describe('verify as a drill', () => {
  const read = (file: string) => readFileSync(join(cwd, file), 'utf8')
  const ROWS = 'SELECT count(*) = 240 FROM t'

  it('passes assertions that hold in the restored copy, and says how long it took and how old the state is', async () => {
    const { code, stdout, stderr } = await verify('app', '--assert', ROWS, '--max-age', '1h')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').slice(2)).toEqual([
      'app:',
      expect.stringMatching(/^ {2}restore: TXID 3, [\d.]+ kB in \d+ ms, full integrity check ok$/),
      expect.stringMatching(/^ {2}age: .* when the restore began, at most 1 h allowed$/),
      `  assertion: ok: ${ROWS}`,
      '',
    ])
  })

  it('fails with 5 for an assertion that does not hold, and for a state that is too old, and writes each report', async () => {
    mkdirSync(join(cwd, 'out'))
    const wrong = "SELECT count(*) > 500 FROM t WHERE text <> '<b>'"
    const { code, stdout, stderr } = await verify(
      ...['app', '--assert', ROWS, '--assert', wrong, '--assert', 'SELECT * FROM nope'],
      ...['--max-age', '1ms', '--report', 'out/drill.json', '--report', 'drill.html'],
      ...['--report', 'drill.xml'],
    )
    expect({ code, stderr }).toEqual({ code: 5, stderr: '' })
    expect(stdout).toMatch(/^ {2}age: TOO OLD: .*, at most 1 ms allowed$/m)
    expect(stdout).toContain(`  assertion: FAILED: ${wrong}: found 0\n`)
    expect(stdout).toContain('  assertion: FAILED: SELECT * FROM nope: no such table: nope\n')

    const report = JSON.parse(read('out/drill.json'))
    expect(report).toMatchObject({
      version: 1,
      store: './replica',
      passed: false,
      databases: [
        {
          name: 'app',
          passed: false,
          failures: [
            expect.stringMatching(/^The newest state is .* old, and at most 1 ms is allowed\.$/),
            `Assertion failed: ${wrong}: found 0`,
            'Assertion failed: SELECT * FROM nope: no such table: nope',
          ],
          verdict: 'good',
          restore: {
            restored: true,
            txid: '0000000000000003',
            maxAgeMs: 1,
            assertions: [
              { sql: ROWS, passed: true, value: '1' },
              { sql: wrong, passed: false, value: '0' },
              { sql: 'SELECT * FROM nope', passed: false, error: 'no such table: nope' },
            ],
          },
        },
      ],
    })
    const junit = read('drill.xml')
    expect(junit).toContain('<testsuite name="app" tests="6" failures="3" errors="0"')
    expect(junit).toContain("WHERE text &lt;&gt; '&lt;b&gt;'")
    const page = read('drill.html')
    expect(page).toContain('&lt;&gt; &#39;&lt;b&gt;&#39;')
    expect(page).not.toMatch(/<b>|<script|(?:src|href)=/)
    expect(readdirSync(cwd).filter((name) => name.includes('.tmp'))).toEqual([])
  })

  it('reports a replica that does not come out', async () => {
    damage(THIRD)
    const { code } = await verify('app', '--assert', ROWS, '--report', 'damaged.xml')
    expect(code).toBe(5)
    expect(read('damaged.xml')).toMatch(
      /tests="2" failures="2" errors="0"[\s\S]*"the objects are intact"[\s\S]*<failure message="Damaged: The[\s\S]*"the newest state is restored"[\s\S]*<failure message="DamagedObject: /,
    )
  })

  it('reports what kept it from running, with the exit code of that error', async () => {
    const { code, stderr } = await verify('app', 'nope', '--report', 'part.json')
    expect(code).toBe(6)
    expect(stderr).toContain('There is no database "nope"')
    expect(JSON.parse(read('part.json'))).toMatchObject({
      passed: false,
      databases: [{ name: 'app', passed: true, restore: { restored: true } }],
      error: { code: 'NoReplica', message: expect.stringContaining('nope') },
    })
  })

  it('refuses a report of a kind that it cannot write with 2, and writes none', async () => {
    const { code, stderr } = await verify('app', '--report', 'drill.pdf')
    expect(code).toBe(2)
    expect(stderr).toContain('which is not a file that ends with .html, .json or .xml')
    expect(readdirSync(cwd)).not.toContain('drill.pdf')
  })

  it.each([
    ['no/such/drill.json', /^error: The folder .*no\/such for --report does not exist\./],
    ['app.db/drill.json', /^error: The folder .*app\.db for --report is not a folder\./],
    ['folder.json', /^error: .*folder\.json for --report is a folder\./],
  ])('refuses the report %s with 2 before it verifies anything', async (file, message) => {
    mkdirSync(join(cwd, 'folder.json'), { recursive: true })
    const { code, stdout, stderr } = await verify('app', '--report', 'drill.html', '--report', file)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
    expect(readdirSync(cwd)).not.toContain('no')
  })

  it('ends with 1 for a report that cannot be written', async () => {
    const { code, stderr } = await verify('app', '--report', TOO_LONG)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: The file .*xxx\.json was not written: /)
  })

  it('ends with 5 for a failed drill, although one of its reports cannot be written, and writes the others', async () => {
    const reports = ['--report', TOO_LONG, '--report', 'failed.xml']
    const { code, stderr } = await verify('app', '--assert', 'SELECT 0', ...reports)
    expect(code).toBe(5)
    expect(stderr).toMatch(/"level":"error".*The file .*xxx\.json was not written: /)
    expect(read('failed.xml')).toContain('<failure message="found 0">')
  })
})
