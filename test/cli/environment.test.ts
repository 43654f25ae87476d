import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/args/command-names.ts'
import { misspeltVariables, settingsFromEnvironment } from '../../src/cli/args/environment.ts'
import { parseCommandLine } from '../../src/cli/args/program.ts'
import {
  DATABASE_SETTINGS,
  flagOf,
  SETTING_ROWS,
  settingsOf,
  variableOf,
} from '../../src/cli/args/setting-lookup.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import { parseConfig } from '../../src/cli/config/parse-config.ts'
import { watchPlan } from '../../src/cli/watch/watch-plan.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
const cwd = folder.path
mkdirSync(join(cwd, 'replica'))
afterAll(() => folder.remove())

/** A value that each setting takes and that is not its default. */
const VALUES: Readonly<Record<string, string>> = {
  bucket: 's3://from-env',
  levels: '1s,2s',
  keepLevels: '1s,2s',
  fencing: 'false',
  prune: '0',
  enableWal: 'true',
  probe: 'false',
  restoreIfMissing: 'true',
  wait: 'true',
  status: 'false',
  snapshotAtStart: '1',
  singleWriter: 'strict',
  integrityCheck: 'quick',
  heartbeatUrl: 'https://host/ping',
  webhookUrl: 'https://host/hook',
  webhookSecret: '0123456789abcdef',
  logLevel: 'debug',
  logFormat: 'json',
}

describe('a setting from the environment', () => {
  it.each(COMMANDS)('is read by %s for each of its settings, under one naming rule', (command) => {
    const names = [...settingsOf('all'), ...settingsOf(command)].map(([name]) => name)
    const env = Object.fromEntries(
      SETTING_ROWS.map(([name]) => [variableOf(name), VALUES[name] ?? '7']),
    )
    const found = settingsFromEnvironment(command, env, new Set())
    expect([...found.keys()]).toEqual(names)
    for (const name of names) {
      const asFlag = flagOf(name).replace(/^--(?:no-)?/, '')
      expect(variableOf(name)).toBe(`WALSYNC_${asFlag.replaceAll('-', '_').toUpperCase()}`)
    }
  })

  it('overrides the file and every entry of it, and is overridden by a flag', () => {
    const text = `
bucket: s3://from-file
sync-interval: 5s
shutdown-timeout: 9s
databases:
  - path: a.db
    sync-interval: 6s
    bucket: s3://own
`
    const config = parseConfig(text, '/etc/walsync.yml', 'walsync.yml', {})
    const plan = (words: readonly string[], env: Record<string, string>) => {
      const { operands, flags, given } = parseCommandLine(['watch', ...words], '1', env)!
      return watchPlan({ operands, flags, given, config, cwd: '/' })
    }
    const env = {
      WALSYNC_BUCKET: 's3://from-env',
      WALSYNC_SYNC_INTERVAL: '7s',
      WALSYNC_SHUTDOWN_TIMEOUT: '8s',
      WALSYNC_PROBE: 'false',
      WALSYNC_PRUNE: 'false',
    }
    expect(plan([], {}).sources[0]).toMatchObject({
      bucket: 's3://own',
      settings: { syncIntervalMs: 6000 },
    })
    const fromEnv = plan([], env)
    expect(fromEnv).toMatchObject({ shutdownTimeoutMs: 8000, probe: false })
    expect(fromEnv.sources[0]).toMatchObject({
      bucket: 's3://from-env',
      settings: { syncIntervalMs: 7000, retention: 'none' },
    })
    const typed = plan(['--sync-interval', '1s', '-b', 's3://typed'], env)
    expect(typed.sources[0]).toMatchObject({
      bucket: 's3://typed',
      settings: { syncIntervalMs: 1000 },
    })
  })

  it('counts as unset if it is empty, and is ignored if its flag is given', () => {
    const env = { WALSYNC_SYNC_INTERVAL: '', WALSYNC_MAX_WAL_SIZE: 'hunter2' }
    const given = new Set(['maxWalSize'])
    expect(settingsFromEnvironment('watch', env, given).size).toBe(0)
  })

  it.each(DATABASE_SETTINGS.filter((name) => name !== 'spoolDir' && name !== 'drillAssert'))(
    'that %s does not take is refused by the name of its variable, without its value',
    (name) => {
      const attempt = () =>
        settingsFromEnvironment('watch', { [variableOf(name)]: 'hunter2' }, new Set())
      expect(attempt).toThrow(UsageError)
      expect(attempt).toThrow(`The environment variable ${variableOf(name)} does not hold`)
      expect(attempt).not.toThrow('hunter2')
    },
  )
})

describe('misspeltVariables', () => {
  it('suggests what was probably meant, and ignores the variables of other programs', () => {
    expect(
      misspeltVariables({
        WALSYNC_SYNC_INTERVALL: '1s',
        WALSYNC_NO_PROBE: 'true',
        WALSYNC_RUN_DIR: '/run',
        WALSYNC_HTTP_TOKEN: 'secret',
        WALSYNC_BUCKET: './r',
        WALSYNC_TRANSLATION_OF_SOMETHING: 'x',
        PATH: '/bin',
      }),
    ).toEqual([
      { name: 'WALSYNC_SYNC_INTERVALL', meant: 'WALSYNC_SYNC_INTERVAL' },
      { name: 'WALSYNC_NO_PROBE', meant: 'WALSYNC_PROBE=false' },
    ])
  })
})

describe('the command line with variables', () => {
  const run = (words: readonly string[], env: Record<string, string>) => runCli(words, { cwd, env })

  it('finds its store by WALSYNC_BUCKET; WALSYNC_ENDPOINT does not concern a folder', async () => {
    const env = { WALSYNC_BUCKET: './replica', WALSYNC_ENDPOINT: 'http://127.0.0.1:9' }
    const [list, restore, typed] = await Promise.all([
      run(['list'], env),
      run(['restore', 'app', '-o', 'out.db'], env),
      run(['list', '-b', './nowhere'], env),
    ])
    expect(list).toMatchObject({ code: 0, stderr: '' })
    expect(list.stdout).toMatch(/^No databases in /)
    expect(restore.code).toBe(6)
    expect(typed).toMatchObject({ code: 4, stdout: '' })
    expect(typed.stderr).toContain('nowhere')
  })

  it.each([
    ['WALSYNC_BUCKET', 's3://key:hunter2@bucket', ['list']],
    ['WALSYNC_BUCKET', 'hunter2 is no bucket', ['verify', 'app']],
    ['WALSYNC_LOG_LEVEL', 'hunter2', ['list', '-b', '.']],
    ['WALSYNC_CONFIG', 'hunter2', ['watch']],
    ['WALSYNC_SYNC_INTERVAL', 'hunter2', ['config', 'check']],
  ])('refuses %s=%s with 2, by its name and without its value', async (name, value, words) => {
    const { code, stdout, stderr } = await run(words, { [name]: value })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^error: .+\n {2}try: .+\n$/)
    expect(stderr).toContain(name)
    expect(stderr).not.toContain('hunter2')
  })

  it('warns of a variable that looks misspelt', async () => {
    const { code, stderr } = await run(['list', '-b', './replica'], { WALSYNC_REGOIN: 'eu' })
    expect(code).toBe(0)
    expect(stderr).toContain('WALSYNC_REGOIN is not a setting; did you mean WALSYNC_REGION?')
  })

  it('finds the configuration by WALSYNC_CONFIG, and judges it with the other variables', async () => {
    writeFileSync(join(cwd, 'elsewhere.yml'), 'databases: [{path: app.db}]\n')
    const env = { WALSYNC_CONFIG: 'elsewhere.yml' }
    const [without, withBucket] = await Promise.all([
      run(['config', 'check'], env),
      run(['config', 'check', '--json'], { ...env, WALSYNC_BUCKET: 's3://from-env' }),
    ])
    expect(without.stderr).toContain('elsewhere.yml:1 has no bucket')
    expect(withBucket.code).toBe(0)
    expect(JSON.parse(withBucket.stdout)).toMatchObject({
      databases: [{ replica: 's3://from-env/app' }],
    })
  })
})
