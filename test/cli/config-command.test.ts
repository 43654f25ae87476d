import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { COMMAND_DEFINITIONS } from '../../src/cli/args/command-definitions.ts'
import { DATABASE_SETTINGS, flagOf, keyOf } from '../../src/cli/args/setting-lookup.ts'
import { configJsonSchema, configSchema } from '../../src/cli/config/config-schema.ts'
import { runCli, scratchFolder } from './run-cli.ts'
import { sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

beforeAll(() => {
  mkdirSync(join(cwd, 'data'))
  mkdirSync(join(cwd, 'empty'))
  for (const name of ['data/a.db', 'data/b.db']) sampleDatabase(join(cwd, name), 1).close()
  writeFileSync(join(cwd, 'data', 'README'), 'no database')
  writeFileSync(
    join(cwd, 'walsync.yml'),
    `bucket: s3://bkt/x?region=eu
sync-interval: 5s
databases:
  - folder: data
    prefix: all
  - path: later.db
    bucket: ./replica
    retention: none
  - glob: empty/*.db
`,
  )
})

const config = (...words: string[]) => runCli(['config', ...words], { cwd })

describe('walsync config check', () => {
  it('prints what would be replicated, under which names and where to, without contacting a store', async () => {
    const { code, stdout, stderr } = await config('check')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const replica = `file://${encodeURI(join(cwd, 'replica'))}/later`
    const lines = stdout.split('\n').map((line) => line.trimEnd().split(/ {2,}/))
    expect(lines).toEqual([
      [`${join(cwd, 'walsync.yml')} is right.`],
      ['DATABASE', 'FILE', 'REPLICA', 'NOW'],
      [replica, join(cwd, 'later.db'), replica, 'there is no file yet'],
      ['all/a', join(cwd, 'data/a.db'), 's3://bkt/x/all/a', 'ready'],
      ['all/b', join(cwd, 'data/b.db'), 's3://bkt/x/all/b', 'ready'],
      ['walsync.yml:9: nothing is there now.'],
      [''],
    ])
    expect(readdirSync(cwd).sort()).toEqual(['data', 'empty', 'walsync.yml'])
  })

  it('prints the settings that hold as JSON', async () => {
    const { code, stdout } = await config('check', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      config: join(cwd, 'walsync.yml'),
      databases: [
        { path: join(cwd, 'later.db'), settings: { syncIntervalMs: 5000, retention: 'none' } },
        {
          name: 'all/a',
          state: 'ready',
          settings: { syncIntervalMs: 5000, singleWriter: 'newest' },
        },
        { name: 'all/b' },
      ],
      refused: [],
      unmatched: ['walsync.yml:9'],
      unreadable: [],
    })
  })

  it('ends with 2 if a file that matches would not be replicated, and names it', async () => {
    for (const name of ['two/a.db', 'two/a.sqlite']) {
      mkdirSync(join(cwd, 'two'), { recursive: true })
      writeFileSync(join(cwd, name), '')
    }
    writeFileSync(join(cwd, 'two', 'w.yml'), 'bucket: s3://bkt\ndatabases: [{glob: a.*}]\n')
    const [text, json] = await Promise.all([
      config('check', '--config', 'two/w.yml'),
      config('check', '--config', 'two/w.yml', '--json'),
    ])
    expect(text).toMatchObject({ code: 2, stderr: '' })
    expect(text.stdout).toBe(
      `${join(cwd, 'two/w.yml')} is right, but not everything would be replicated.\nNot replicated: ${join(cwd, 'two/a.db')} and ${join(cwd, 'two/a.sqlite')} would both be replicated under the name "a".\n`,
    )
    expect(JSON.parse(json.stdout)).toMatchObject({ databases: [], refused: [{}, {}] })
  })

  it('ends with 2 for a file that is wrong, missing, or would not start', async () => {
    writeFileSync(join(cwd, 'data', 'wrong.yml'), 'bukket: s3://bkt\n')
    writeFileSync(join(cwd, 'data', 'scheme.yml'), 'bucket: nope://x\ndatabases: [{path: a.db}]\n')
    writeFileSync(
      join(cwd, 'data', 'clash.yml'),
      'bucket: s3://bkt\ndatabases: [{path: a.db}, {path: x/a.db}]\n',
    )
    const [wrong, scheme, clash, missing, none, json] = await Promise.all([
      config('check', '--config', 'data/wrong.yml'),
      config('check', '--config', 'data/scheme.yml'),
      config('check', '--config', 'data/clash.yml'),
      config('check', '--config', 'nope.yml'),
      runCli(['config', 'check'], { cwd: join(cwd, 'empty') }),
      config('check', '--config', 'data/wrong.yml', '--json'),
    ])
    for (const { code, stdout } of [wrong, scheme, clash, missing, none]) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    }
    expect(wrong.stderr).toBe(
      'error: data/wrong.yml has an error.\n  data/wrong.yml:1:1: bukket is an unknown key; did you mean bucket?\n  try: Correct the file, then run walsync config check.\n',
    )
    expect(scheme.stderr).toMatch(/^error: No backend knows nope:\/\/ URLs\./)
    expect(clash.stderr).toMatch(/would both be replicated under the name "a"/)
    expect(missing.stderr).toMatch(/^error: There is no configuration file .*nope\.yml\./)
    expect(none.stderr).toMatch(
      /^error: There is no walsync\.yml, walsync\.yaml, walsync\.json here\./,
    )
    expect(JSON.parse(json.stdout)).toMatchObject({
      error: { code: 'Usage', exitCode: 2, details: [expect.stringContaining('1:1: bukket')] },
    })
  })
})

describe('the JSON schema', () => {
  const published = new URL('../../walsync.schema.json', import.meta.url)

  it('that the package has is the one of the file that it reads (renewed by walsync config schema)', async () => {
    const schema = JSON.parse(readFileSync(published, 'utf8')) as unknown
    expect(schema).toEqual(JSON.parse(JSON.stringify(configJsonSchema())))
    const { code, stdout } = await config('schema')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(schema)
  })

  it('knows no key that the file does not, and describes each', () => {
    const schema = configJsonSchema() as Schema
    expect(Object.keys(schema.properties ?? {}).sort()).toEqual(
      Object.keys(configSchema.shape).sort(),
    )
    const check = (part: Schema): void => {
      if (part.properties !== undefined) expect(part.additionalProperties).toBe(false)
      for (const inner of [...Object.values(part.properties ?? {}), ...(part.anyOf ?? [])])
        check(inner)
      if (part.items?.properties !== undefined) check(part.items)
      for (const [key, { description }] of Object.entries(part.properties ?? {})) {
        if (key !== 'retention') expect(description, key).toMatch(/\.$/)
      }
    }
    check(schema)
  })

  it('and the flags of watch name the same settings', () => {
    const flags = COMMAND_DEFINITIONS.watch().options.map((option) => option.attributeName())
    expect(DATABASE_SETTINGS.filter((name) => !flags.includes(name))).toEqual([])
    for (const name of DATABASE_SETTINGS) {
      const [first = '', second] = keyOf(name)?.split('.') ?? []
      const flag = first === 'retention' ? second : [first, second].filter(Boolean).join('-')
      if (name !== 'prune') expect(`--${flag}`).toBe(flagOf(name).replace('--no-', '--'))
    }
  })
})

interface Schema {
  readonly properties?: Record<string, Schema & { description?: string }>
  readonly additionalProperties?: boolean
  readonly anyOf?: Schema[]
  readonly items?: Schema
}

describe('walsync config check, for what watch would refuse', () => {
  const check = async (text: string, env: Record<string, string> = {}, ...words: string[]) => {
    const file = join(cwd, 'data', `case-${Math.random()}.yml`)
    writeFileSync(file, `${text}\n`)
    return await runCli(['config', 'check', '--config', file, ...words], { cwd, env })
  }

  it.each([
    ['s3://bkt/x?nope=1', 'An S3 store has no setting "nope"'],
    ['s3://bkt/a//b', 'has an empty or dotted segment'],
    ['s3://bkt--x-s3/a', 'S3 Express'],
    ['s3://bkt?endpoint=ftp://host', 'is not an http or https URL'],
    ['gs://bkt?nope=1', 'has no setting "nope"'],
    ['az://box?nope=1&account=a', 'has no setting "nope"'],
    ['file:///tmp/x?nope=1', 'unknown parameter "nope"'],
  ])('refuses %s as watch does, with the same words', async (bucket, said) => {
    const text = `bucket: "${bucket}"\ndatabases: [{path: a.db}]`
    const checked = await check(text)
    expect(checked).toMatchObject({ code: 2, stdout: '' })
    expect(checked.stderr).toContain(said)
    writeFileSync(join(cwd, 'data', 'same.yml'), text)
    const watched = await runCli(['watch', '--config', 'data/same.yml'], { cwd })
    expect(watched).toMatchObject({ code: 2, stderr: checked.stderr })
  })

  it('finds plugins and runs none of their code', async () => {
    writeFileSync(
      join(cwd, 'data', 'evil.mjs'),
      `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(join(cwd, 'ran'))}, '')`,
    )
    const text = 'plugins: [./evil.mjs]\nbucket: evil://x\ndatabases: [{path: a.db}]'
    const { code, stdout } = await check(text)
    expect(code).toBe(0)
    expect(stdout).toContain('evil:// URLs are for a plugin to judge')
    expect(readdirSync(cwd)).not.toContain('ran')
    const missing = await check(text.replace('evil.mjs', 'none.mjs'))
    expect(missing).toMatchObject({ code: 2 })
    expect(missing.stderr).toContain('The plugin ./none.mjs was not found')
  })

  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the file's own notation
  it.each([
    ['sync-interval: ${V}', 'not a duration'],
    ['levels: [30s, "${V}"]', 'not none or up to'],
    ['log-level: ${V}', 'not one of'],
    ['bucket: ${V}', 'is refused with its variables filled in'],
    ['bucket: s3:x${V}', 'is refused with its variables filled in'],
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the file's own notation
  ])('does not repeat what a variable holds: %s', async (line, said) => {
    const V = 'Hunter2 is!the/value@of it'
    const bucket = line.startsWith('bucket') ? '' : 'bucket: s3://bkt\n'
    const text = `${bucket}${line}\ndatabases: [{path: a.db}]`
    for (const words of [[], ['--json'], ['--log-level', 'debug']]) {
      const { code, stdout, stderr } = await check(text, { V }, ...words)
      expect(code).toBe(2)
      expect(stderr).toContain(said)
      expect(stdout + stderr).not.toMatch(/Hunter2|the\/value/)
    }
  })
})
