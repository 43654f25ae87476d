import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/args/command-names.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

describe('help and version', () => {
  it('matches the snapshot for walsync itself and for every command', async () => {
    const commands = [[], ...COMMANDS.map((name) => [name])]
    const helps = commands.map(async (words) => ({
      words,
      ...(await runCli([...words, '--help'])),
    }))
    for (const { words, code, stdout, stderr } of await Promise.all(helps)) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatchSnapshot(['walsync', ...words, '--help'].join(' '))
    }
  })

  it('prints the version of the package', async () => {
    const { version } = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    ) as { version: string }
    expect(await runCli(['--version'])).toMatchObject({
      code: 0,
      stdout: `${version}\n`,
      stderr: '',
    })
  })

  it('says in one line that Node is too old, before it loads anything', async () => {
    const old = "Object.defineProperty(process.versions, 'node', { value: '20.19.5' })"
    const node = ['--import', `data:text/javascript,${encodeURIComponent(old)}`]
    const { code, stdout, stderr } = await runCli(['list', '-b', '.'], { node })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(
      /^error: walsync needs Node 24 or newer; this is Node 20\.19\.5 \(.*\)\.\n {2}try: .*npx -p node@24 walsync.*\n$/,
    )
  })
})

/** [what is wrong, words, what stderr says] */
const WRONG: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['no command', [], /^error: No command was given\.\n {2}try: Run walsync --help/],
  ['an unknown command', ['lst'], /^error: Unknown command 'lst' \(Did you mean list\?\)/],
  ['an unknown flag', ['list', '-b', '.', '--fast'], /^error: Unknown option '--fast'/],
  ['no -b', ['list'], /^error: --bucket was not given\.\n {2}try: Give --bucket a replica URL/],
  ['an empty -b', ['list', '-b', ''], /^error: --bucket got "", which is not a replica URL/],
  [
    'no database',
    ['watch', '-b', '.'],
    /^error: No database was given, and there is no walsync\.yml here\./,
  ],
  ['no bucket', ['watch', 'a.db'], /^error: No bucket was given: nothing says where/],
  [
    'a missing file',
    ['watch', '--config', 'x.yml'],
    /^error: There is no configuration file .*x\.yml\./,
  ],
  ['an unknown action', ['config', 'chek'], /^error: walsync config does not know "chek"\./],
  [
    'a bad writer mode',
    ['watch', 'a.db', '-b', '.', '--single-writer', 'x'],
    /^error: --single-writer got "x", which is not one of newest, strict/,
  ],
  [
    'bad levels',
    ['watch', 'a.db', '-b', '.', '--levels', '1h,1s'],
    /^error: --levels got "1h,1s", which is not none or up to/,
  ],
  [
    'a bad count',
    ['watch', 'a.db', '-b', '.', '--keep-daily', '-1'],
    /^error: --keep-daily got "-1"/,
  ],
  ['no -o', ['restore', 'app', '-b', '.'], /^error: Required option '-o, --output <path>'/],
  ['a word too many', ['list', 'app', '-b', '.'], /^error: Too many arguments for 'list'/],
  [
    'a bad log level',
    ['--log-level', 'loud', 'list', '-b', '.'],
    /^error: --log-level got "loud", which is not one of trace, debug/,
  ],
  [
    'a bad log format',
    ['--log-format', 'xml', 'list', '-b', '.'],
    /^error: --log-format got "xml"/,
  ],
  [
    'a bad interval',
    ['watch', 'a.db', '-b', '.', '--sync-interval', 'soon'],
    /^error: --sync-interval got "soon", which is not a duration/,
  ],
  [
    'a bad snapshot interval',
    ['watch', 'a.db', '-b', '.', '--snapshot-interval=-1'],
    /^error: --snapshot-interval got "-1"/,
  ],
  [
    'a bad size',
    ['watch', 'a.db', '-b', '.', '--max-wal-size', 'big'],
    /^error: --max-wal-size got "big", which is not a size/,
  ],
  [
    'a bad integrity check',
    ['restore', 'a', '-b', '.', '-o', 'x', '--integrity-check', 'fast'],
    /^error: --integrity-check got "fast"/,
  ],
  [
    'a bad parallelism',
    ['restore', 'a', '-b', '.', '-o', 'x', '--parallelism', '0'],
    /^error: --parallelism got "0", which is not a whole number from 1 to 64/,
  ],
  [
    'a bad time',
    ['restore', 'a', '-b', '.', '-o', 'x', '--point-in-time', '03/04/2026'],
    /^error: The point in time "03\/04\/2026" is not a recognised date or time/,
  ],
  [
    'a bad TXID',
    ['restore', 'a', '-b', '.', '-o', 'x', '--txid', 'zz'],
    /^error: "zz" is not a TXID/,
  ],
  [
    'two targets',
    ['restore', 'a', '-b', '.', '-o', 'x', '--txid', '1', '--point-in-time', '1m ago'],
    /^error: --point-in-time and --txid name two targets/,
  ],
  [
    'an unknown scheme',
    ['list', '-b', 'ftp://host/x'],
    /^error: No backend knows ftp:\/\/ URLs\. Known: file:\/\/, s3:\/\/, tigris:\/\/, gs:\/\/, az:\/\/, abs:\/\/\./,
  ],
  [
    'credentials in the URL',
    ['list', '-b', 's3://key:hunter2@bucket'],
    /^error: The replica URL for bucket carries credentials/,
  ],
  [
    'an endpoint for a folder',
    ['list', '-b', '.', '--endpoint', 'http://localhost'],
    /^error: --endpoint has no meaning for a folder/,
  ],
  [
    'two stores',
    ['list', '-b', 's3://key:hunter2@bucket', '-b', './r'],
    /^error: --bucket was given twice\./,
  ],
  [
    'a global flag twice',
    ['--region', 'a', 'list', '--region', 'b'],
    /^error: --region was given twice\./,
  ],
  [
    '-- and no application',
    ['watch', 'a.db', '-b', './r', '--'],
    /^error: There is no command after --\./,
  ],
  [
    'an impossible name',
    ['verify', 'a//b', '-b', '.'],
    /^error: No replica can have the name "a\/\/b"\./,
  ],
  [
    'two databases of one name',
    ['watch', 'one/app.db', 'two/app.db', '-b', './r'],
    /^error: .*one\/app\.db and .*two\/app\.db would both be replicated under the name "app"/,
  ],
]

describe('a wrong command line', () => {
  it.each(WRONG)(
    '%s: exit code 2, one error with what to try, nothing written',
    async (_what, words, says) => {
      const { code, stdout, stderr } = await runCli(words, { cwd })
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(says)
      expect(stderr).toMatch(/^error: .+\n {2}try: .+\n$/)
      expect(stderr).not.toContain('hunter2')
      expect(readdirSync(cwd)).toEqual([])
    },
  )

  it('is one JSON line on stdout with --json', async () => {
    const { code, stdout, stderr } = await runCli(['list', '-b', 'ftp://x', '--json'], { cwd })
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'Usage', exitCode: 2, message: expect.stringContaining('ftp://') },
    })
    expect(stderr).toMatch(/^error: /)
  })

  it('shows a stack trace with --log-level debug only', async () => {
    const { stderr } = await runCli(['list', '-b', 'ftp://x', '--log-level', 'debug'], { cwd })
    expect(stderr).toMatch(/^error: .+\n {2}try: .+\nUsageError: .+\n {4}at /)
  })
})
