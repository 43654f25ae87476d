// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is the file's own syntax.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { databaseSettings } from '../../src/cli/args/database-settings.ts'
import { nearestWord } from '../../src/cli/args/nearest-word.ts'
import { DATABASE_SETTINGS, keyOf, settingRow } from '../../src/cli/args/setting-lookup.ts'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import type { Config } from '../../src/cli/config/config.ts'
import { expandEnv } from '../../src/cli/config/expand-env.ts'
import { loadConfig } from '../../src/cli/config/load-config.ts'
import { parseConfig } from '../../src/cli/config/parse-config.ts'
import { watchPlan } from '../../src/cli/watch/watch-plan.ts'

const parse = (text: string, env: Record<string, string> = {}): Config =>
  parseConfig(text, '/etc/walsync/walsync.yml', 'walsync.yml', env)

/** All problems of a text, without the name of the file. */
function problems(text: string, env: Record<string, string> = {}): string[] {
  try {
    parse(text, env)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return error.details.map((line) => line.replace(/^walsync\.yml:/, ''))
  }
  return []
}

describe('a configuration file', () => {
  it('is read, with paths relative to its own folder', () => {
    const config = parse(`
bucket: ./replica
plugins: [./my-store.js, my-store]
log-level: debug
socket: run/s.sock
shutdown-timeout: 5
databases:
  - path: data/app.db
    name: prod/app
  - glob: /srv/tenants/*/db.sqlite
    prefix: tenants/
    bucket: s3://other
  - folder: data
    recursive: true
`)
    expect(config).toMatchObject({
      bucket: '/etc/walsync/replica',
      plugins: ['./my-store.js', 'my-store'],
      logLevel: 'debug',
      socket: '/etc/walsync/run/s.sock',
      shutdownTimeout: '5',
    })
    expect(config.databases).toEqual([
      expect.objectContaining({
        where: { kind: 'path', path: '/etc/walsync/data/app.db' },
        name: 'prod/app',
        at: 'walsync.yml:8',
      }),
      expect.objectContaining({
        where: { kind: 'glob', base: '/srv/tenants', pattern: '*/db.sqlite' },
        prefix: 'tenants',
        bucket: 's3://other',
      }),
      expect.objectContaining({
        where: { kind: 'folder', base: '/etc/walsync/data', recursive: true },
      }),
    ])
  })

  it('reads JSON as well, with tabs and a byte order mark', () => {
    const text = '\uFEFF{\n\t"bucket": "s3://b",\n\t"databases": [{"path": "/app.db"}]\n}\n'
    expect(parse(text.replace('\uFEFF', '')).databases).toHaveLength(1)
    expect(parse(text).databases).toHaveLength(1)
  })

  it('has the settings under the names of the flags, and parses their values in the same way', () => {
    const { settings } = parse(`
sync-interval: 250ms
poll-interval: 2
snapshot: {interval: 0, after-pages: 1000, after-size: 1GiB, on-idle: 10m, at-start: true}
levels: [10s, 1m]
retention: {keep-levels: "1m,1h,2h", keep-for: 90d, keep-last: 3, keep-daily: 7, min-object-age: 1m}
verify-interval: 1d
drill-interval: 12h
drill-assert: ['SELECT max(a, b) FROM t', SELECT 1]
drill-max-age: 1h
single-writer: strict
restore-if-missing: true
enable-wal: true
take-over-after: 5m
max-wal-size: 67108864
spool-dir: spool
`)
    expect(databaseSettings(settings)).toEqual({
      restoreIfMissing: true,
      enableWal: true,
      takeOverAfterMs: 300_000,
      syncIntervalMs: 250,
      syncBurst: 10,
      pollIntervalMs: 2000,
      snapshots: {
        intervalMs: 0,
        afterPages: 1000,
        afterBytes: 2 ** 30,
        onIdleMs: 600_000,
        atStart: true,
      },
      levels: [10_000, 60_000],
      retention: {
        levelKeepMs: [60_000, 3_600_000, 7_200_000],
        keepForMs: 90 * 86_400_000,
        keepLast: 3,
        keepHourly: undefined,
        keepDaily: 7,
        keepWeekly: undefined,
        keepMonthly: undefined,
        minObjectAgeMs: 60_000,
      },
      verifyIntervalMs: 86_400_000,
      drill: {
        intervalMs: 43_200_000,
        assertions: ['SELECT max(a, b) FROM t', 'SELECT 1'],
        maxAgeMs: 3_600_000,
      },
      singleWriter: 'strict',
      maxWalBytes: 64 << 20,
      spoolDir: '/etc/walsync/spool',
      maxSpoolBytes: 1_000_000_000,
    })
  })

  it('merges the settings of a database into the top level, key by key; retention: none is a value of its own', () => {
    const { settings, databases } = parse(`
snapshot: {interval: 12h}
retention: none
databases:
  - path: a.db
    snapshot: {at-start: true}
  - path: b.db
    retention: {keep-last: 2}
  - path: c.db
    fencing: false
    single-writer: strict
`)
    const of = (i: number) => databaseSettings(settings, databases?.[i]?.settings ?? {})
    expect(of(0)).toMatchObject({ snapshots: { intervalMs: 43_200_000, atStart: true } })
    expect(of(0).retention).toBe('none')
    expect(of(1).retention).toMatchObject({ keepLast: 2, minObjectAgeMs: 300_000 })
    expect(of(2).singleWriter).toBe('none')
  })

  it('accepts anchors and merge keys, including a database that merges from another', () => {
    const { databases } = parse(`
databases:
  - &first
    path: a.db
    sync-interval: 5s
  - <<: *first
    path: b.db
`)
    expect(databases?.map(({ settings }) => settings.syncInterval)).toEqual(['5s', '5s'])
  })
})

describe('all errors are reported together, with line, column and path', () => {
  it('of the shape, of values, and of what belongs together', () => {
    const text = `bucket: s3://\${BUCKET}/x
sync_interval: 2s
poll-interval: soon
snapshot-interval: 3h
snapshot:
  interval: -1
  at-start: yes
  foo: 1
retention: never
databases:
  - path: ~/x.db
    folder: y
  - glob: data/x.db
    name: a
    max-wal-size:
  - 5
  - folder: d
    recursive: "\${R:-true}"
    levels: [1s, often]
    socket: x
  - path: z.db
    recursive: true
    name: a//b
    bucket: s3://key:hunter2@bucket
    sync-intervall: 1s
  - path: data/*.db
  - folder: data/?
`
    expect(problems(text)).toEqual([
      '1:9: bucket needs the environment variable BUCKET, which is not set',
      '2:1: sync_interval is an unknown key; write sync-interval',
      expect.stringMatching(/^3:16: poll-interval got "soon", which is not a duration from 1ms/),
      '4:1: snapshot-interval is an unknown key; write snapshot.interval',
      expect.stringMatching(/^6:13: snapshot\.interval got -1, which is not a duration/),
      '7:13: snapshot.at-start got "yes", which is not true or false',
      '8:3: snapshot.foo is an unknown key; the keys here are interval, after-pages, after-size, on-idle, at-start',
      '9:12: retention got "never", which is not none or a group of keep- rules',
      expect.stringMatching(
        /^11:11: databases\[0\]\.path got "~\/x\.db", but ~ means nothing here/,
      ),
      '12:13: databases[0].folder cannot be combined with path: give one of them',
      '13:11: databases[1].glob got "data/x.db", which has no * ? [ ] or { }',
      expect.stringMatching(/^14:11: databases\[1\]\.name is for one path; with a glob use prefix/),
      expect.stringMatching(/^15:18: databases\[1\]\.max-wal-size has no value; give a size/),
      expect.stringMatching(/^16:5: databases\[2\] got 5, which is not a database/),
      expect.stringMatching(
        /^19:13: databases\[3\]\.levels got \["1s","often"\], which is not none/,
      ),
      '20:5: databases[3].socket is an unknown key here; it belongs to the top level of the file',
      '22:16: databases[4].recursive is for a folder; a glob goes deeper with **',
      expect.stringMatching(
        /^23:11: databases\[4\]\.name got "a\/\/b", which no replica can be called/,
      ),
      expect.stringMatching(
        /^24:13: databases\[4\]\.bucket is refused: The replica URL for bucket carries/,
      ),
      '25:5: databases[4].sync-intervall is an unknown key; did you mean sync-interval?',
      expect.stringMatching(
        /^26:11: databases\[5\]\.path got "data\/\*\.db", which is a pattern; write it as a glob/,
      ),
      expect.stringMatching(/^27:13: databases\[6\]\.folder got "data\/\?", which is a pattern/),
    ])
    expect(problems(text).join('\n')).not.toContain('hunter2')
  })

  it.each([
    ['a key twice', 'bucket: a\nbucket: b\n', '2:1: map keys must be unique'],
    ['a key twice in JSON', '{"bucket": "a",\n "bucket": "b"}', '2:2: map keys must be unique'],
    [
      'a tab',
      'snapshot:\n\tinterval: 1h\n',
      '2:1: tabs are not allowed as indentation: indent with spaces',
    ],
    [
      'a second document',
      'bucket: a\n---\nbucket: b\n',
      '2:1: source contains multiple documents: a configuration is one document',
    ],
    [
      'an alias of nothing',
      'bucket: *b\n',
      '1:9: bucket is the alias *b, but no anchor before it has that name',
    ],
    ['a tag', 'bucket: !!js/function "x"\n', '1:9: unresolved tag: tag:yaml'],
    ['a list as a key', '? [a]\n: b\n', '1:3: has a key that is not a plain name'],
    [
      'a variable in a list of [ ]',
      'plugins: [${P}]\n',
      '1:12: missing , or : between flow sequence items: write "${…}" in quotes inside [ ] and { }',
    ],
    ['nothing', '', '1:1: the file is empty; it needs databases:'],
    ['only a comment', '# databases:\n', '1:1: the file is empty; it needs databases:'],
    ['a list', '- path: a.db\n', /^1:1: got \[\{"path":"a\.db"\}\], which is not a group of keys/],
    ['a word', 'watch\n', /^1:1: got "watch", which is not a group of keys/],
    [
      'no list of databases',
      'databases: app.db\n',
      /^1:12: databases got "app\.db", which is not a list/,
    ],
    ['databases without any', 'databases: []\n', /^1:12: databases is an empty list/],
    [
      'a database of nothing',
      'databases:\n  - name: x\n',
      '2:5: databases[0] names no database: give path, glob or folder',
    ],
    [
      'a number for a name',
      'databases: [{path: a.db, name: 0123}]\n',
      '1:32: databases[0].name got 123, which is not a name (put it in quotes)',
    ],
    [
      'digits with an underscore',
      'max-wal-size: 1_000\n',
      /^1:15: max-wal-size got "1_000", which is not a size/,
    ],
    ['prune', 'prune: false\n', '1:1: prune is an unknown key; write retention: none'],
    [
      'a nonsense key',
      'xyzzy: 1\n',
      /^1:1: xyzzy is an unknown key; the keys here are bucket, endpoint,/,
    ],
    [
      'a folder with an endpoint',
      'bucket: ./r\nendpoint: http://x\n',
      /^1:9: bucket is the folder .*, for which endpoint has no meaning/,
    ],
    [
      'a not',
      'databases:\n  - glob: "!a/*.db"\n',
      /^2:11: databases\[0\]\.glob got "!a\/\*\.db", which begins with !/,
    ],
  ] as const)('%s', (_what, text, expected) => {
    const found = problems(text)
    expect(found).toHaveLength(1)
    if (typeof expected === 'string') expect(found[0]).toBe(expected)
    else expect(found[0]).toMatch(expected)
  })

  it('aliases of aliases that would fill the memory', () => {
    const nine = (name: string) => `[${Array(9).fill(`*${name}`).join(', ')}]`
    const lines = [
      'a: &a [x]',
      ...'bcdefgh'.split('').map((key, i) => `${key}: &${key} ${nine('abcdefg'[i] ?? '')}`),
    ]
    expect(problems(lines.join('\n'))).toEqual([
      expect.stringMatching(/^1:1: cannot be read: Excessive alias/),
    ])
  })

  it('never throws anything else, whatever the text is', () => {
    const piece = fc.constantFrom(
      'bucket: ',
      'databases:',
      '\n',
      '  ',
      '- ',
      'path: a',
      '{',
      '}',
      '[',
      ']',
      ':',
      '"',
      "'",
      '&a',
      '*a',
      '<<: ',
      '${A}',
      '\t',
      '#',
      '|',
      '>',
      '? ',
      '!',
      'null',
      '1',
      'snapshot: ',
      'retention: ',
      '\u0000',
      '---\n',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        expect(problems(pieces.join('')).every((line) => /^\d+:\d+: /.test(line))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('variables of the environment', () => {
  it.each([
    ['${A}', 'x'],
    ['a-${A}-${B}', 'a-x-'],
    ['${NO:-d}', 'd'],
    ['${B:-d}', 'd'],
    ['${A:-d}', 'x'],
    ['${NO:-}', ''],
    ['$${A}', '${A}'],
    ['$$$$', '$$'],
    ['$A $ 5$', '$A $ 5$'],
    ['${C}', '${A}'],
  ])('%s becomes %j', (text, expected) => {
    expect(expandEnv(text, { A: 'x', B: '', C: '${A}' })).toMatchObject({ text: expected })
  })

  it.each([
    ['${NO}', /needs the environment variable NO, which is not set/],
    ['${1A}', /has \$\{1A\}, which is neither/],
    ['${A:?no}', /has \$\{A:\?no\}, which is neither/],
    ['x ${A', /has \$\{A, which is neither/],
    ['${}', /has \$\{\}, which is neither/],
  ])('%s is refused', (text, expected) => {
    const expanded = expandEnv(text, { A: 'x' })
    expect('problem' in expanded && expanded.problem).toMatch(expected)
  })

  it('are replaced only in values, before these are checked, and are read once', () => {
    const env = { SECONDS: '5', ON: 'true', BUCKET: 's3://b', DEEP: '${SECONDS}' }
    const { settings, bucket } = parse(
      'bucket: ${BUCKET}\nsync-interval: ${SECONDS}\nsnapshot: {at-start: "${ON}"}\n',
      env,
    )
    expect(bucket).toBe('s3://b')
    expect(databaseSettings(settings)).toMatchObject({
      syncIntervalMs: 5000,
      snapshots: { atStart: true },
    })
    expect(problems('${BUCKET}: x\n', env)).toEqual([
      expect.stringMatching(/^1:1: \$\{BUCKET\} is an unknown key/),
    ])
    expect(problems('sync-interval: ${DEEP}\n', env)).toEqual([
      expect.stringMatching(/^1:16: sync-interval with its variables filled in is not a duration/),
    ])
  })
})

describe('the nearest word', () => {
  it.each([
    ['sync-intervall', 'sync-interval'],
    ['syncInterval', 'sync-interval'],
    ['buckt', 'bucket'],
    ['xyzzy', undefined],
    ['', undefined],
  ])('of %j is %j', (word, expected) => {
    expect(nearestWord(word, ['bucket', 'sync-interval', 'poll-interval'])).toBe(expected)
  })
})

describe('which file is read', () => {
  let cwd: string
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'walsync config '))
  })
  afterAll(() => rmSync(cwd, { recursive: true }))
  const load = (file?: string, search = true) => loadConfig({ file, cwd, env: {}, search })
  const refusal = (file: string) =>
    load(file).then(
      () => undefined,
      (error: unknown) => (error instanceof UsageError ? error.message : error),
    )

  it('is the given one, else walsync.yml, walsync.yaml or walsync.json in the working folder', async () => {
    expect(await load()).toBeUndefined()
    writeFileSync(join(cwd, 'walsync.json'), '{"bucket": "json"}')
    expect((await load())?.bucket).toBe('json')
    writeFileSync(join(cwd, 'walsync.yaml'), 'bucket: yaml')
    writeFileSync(join(cwd, 'walsync.yml'), 'bucket: first')
    expect(await load()).toMatchObject({ bucket: 'first', label: 'walsync.yml' })
    expect((await load('walsync.json'))?.bucket).toBe('json')
    expect(await load(undefined, false)).toBeUndefined()
  })

  it('is refused if it is missing, a folder, too long, or not UTF-8 text', async () => {
    mkdirSync(join(cwd, 'folder'))
    writeFileSync(join(cwd, 'long.yml'), `#${'x'.repeat(1_000_000)}`)
    writeFileSync(join(cwd, 'utf16.yml'), Buffer.from('\uFEFFbucket: x', 'utf16le'))
    writeFileSync(join(cwd, 'latin1.yml'), Buffer.from('bucket: \xe9', 'latin1'))
    writeFileSync(join(cwd, 'bom.yml'), '\uFEFFbucket: bom')
    expect(await refusal('nope.yml')).toBe(
      `There is no configuration file ${join(cwd, 'nope.yml')}.`,
    )
    expect(await refusal('folder')).toBe(`${join(cwd, 'folder')} is a folder.`)
    execFileSync('mkfifo', [join(cwd, 'pipe')])
    expect(await refusal('pipe')).toBe(
      `${join(cwd, 'pipe')} is a pipe into which nothing is written.`,
    )
    expect(await refusal('long.yml')).toMatch(/is longer than 1000000 bytes/)
    expect(await refusal('utf16.yml')).toMatch(/is not UTF-8 text but UTF-16\.$/)
    expect(await refusal('latin1.yml')).toMatch(/is not UTF-8 text\.$/)
    expect((await load('bom.yml'))?.bucket).toBe('bom')
  })
})

describe('docs/reference/configuration.md', () => {
  const page = readFileSync(
    new URL('../../docs/reference/configuration.md', import.meta.url),
    'utf8',
  )

  it('has an example that is right', () => {
    const example = /```yaml\n(# walsync\.yml\n[^`]+)```/.exec(page)?.[1] ?? ''
    const config = parse(example)
    const plan = watchPlan({ operands: [], flags: {}, given: new Set(), config, cwd: '/' })
    expect(plan.sources.map(({ where }) => where.kind)).toEqual(['path', 'glob', 'folder'])
  })

  it('has every key, with its default', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| `'))
    for (const name of DATABASE_SETTINGS) {
      const key = keyOf(name)
      if (key === undefined) continue
      const row = rows.find((line) => line.split('|')[1]?.includes(`\`${key}`))
      expect(row, key).toBeDefined()
      const standard = settingRow(name).default
      if (standard !== undefined) expect(row, key).toContain(`| ${String(standard)} |`)
    }
  })
})
