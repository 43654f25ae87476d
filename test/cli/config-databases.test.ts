import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import { parseConfig } from '../../src/cli/config/parse-config.ts'
import { findFiles } from '../../src/cli/watch/find-files.ts'
import { refuseConflicts, resolveDatabases } from '../../src/cli/watch/resolve-databases.ts'
import { type WatchPlan, watchPlan } from '../../src/cli/watch/watch-plan.ts'
import { bucketRoot } from '../../src/cli/watch/watched-database.ts'

let cwd: string
const { signal } = new AbortController()

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'walsync [a]* '))
})
afterEach(() => rmSync(cwd, { recursive: true }))

function touch(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(cwd, path)), { recursive: true })
    writeFileSync(join(cwd, path), '')
  }
}

function planOf(
  yaml: string,
  flags: Readonly<Record<string, unknown>> = {},
  operands: readonly string[] = [],
): WatchPlan {
  const config = parseConfig(yaml, join(cwd, 'walsync.yml'), 'walsync.yml', {})
  return watchPlan({ operands, flags, given: new Set(Object.keys(flags)), config, cwd })
}

async function resolved(yaml: string, isRunning?: (path: string) => boolean) {
  const found = await Promise.all(
    planOf(yaml).sources.map(async (source) => ({
      source,
      ...(await findFiles(source.where, signal)),
    })),
  )
  return resolveDatabases(found, cwd, isRunning)
}

/** Name and file of each database. */
async function names(yaml: string): Promise<[string, string][]> {
  const found = await resolved(yaml)
  refuseConflicts(found)
  return found.databases.map(({ database: { name, path } }) => [name, path.slice(cwd.length + 1)])
}

describe('globs and folders', () => {
  it('name each file by its path below the fixed part, without the extension', async () => {
    touch('tenants/acme/app.db', 'tenants/bolt/app.db', 'tenants/readme.txt', 'tenants/x/y/app.db')
    expect(await names('bucket: ./r\ndatabases: [{glob: "tenants/*/app.db"}]')).toEqual([
      ['acme/app', 'tenants/acme/app.db'],
      ['bolt/app', 'tenants/bolt/app.db'],
    ])
    expect(await names('bucket: ./r\ndatabases: [{glob: "tenants/**/*.db", prefix: t}]')).toEqual([
      ['t/acme/app', 'tenants/acme/app.db'],
      ['t/bolt/app', 'tenants/bolt/app.db'],
      ['t/x/y/app', 'tenants/x/y/app.db'],
    ])
  })

  it('skip the files that SQLite keeps next to a database, and hidden files and folders', async () => {
    touch('d/a.db', 'd/a.db-wal', 'd/a.db-shm', 'd/b.db-journal', 'd/.hidden.db')
    touch('d/.a.db-walsync/0.ltx', 'd/inner/c.db')
    expect(await names('bucket: ./r\ndatabases: [{folder: d}]')).toEqual([['a', 'd/a.db']])
    expect(await names('bucket: ./r\ndatabases: [{folder: d, recursive: true}]')).toEqual([
      ['a', 'd/a.db'],
      ['inner/c', 'd/inner/c.db'],
    ])
    expect(await names('bucket: ./r\ndatabases: [{glob: "d/*"}]')).toEqual([['a', 'd/a.db']])
  })

  it('know * ? [ ] { } and **, and take the folder of the file literally', async () => {
    touch('a1.db', 'a2.db', 'b1.sqlite', 'sub/a1.db')
    const of = async (glob: string) =>
      (await names(`bucket: ./r\ndatabases: [{glob: "${glob}"}]`)).map(([, path]) => path)
    expect(await of('a?.db')).toEqual(['a1.db', 'a2.db'])
    expect(await of('a[2-9].db')).toEqual(['a2.db'])
    expect(await of('*.{db,sqlite}')).toEqual(['a1.db', 'a2.db', 'b1.sqlite'])
    expect(await of('**/a1.db')).toEqual(['a1.db', 'sub/a1.db'])
    expect(await of('nope/*.db')).toEqual([])
  })

  it('match a star in a name by [*]', async () => {
    touch('d/a*b.db', 'd/axb.db')
    const found = await names('bucket: ./r\ndatabases: [{glob: "d/a[*]b.db"}]')
    expect(found).toEqual([['a*b', 'd/a*b.db']])
  })

  it('follow links to files, and to folders where the depth is bounded', async () => {
    touch('real/x/app.db', 'data/keep')
    symlinkSync(join(cwd, 'real/x'), join(cwd, 'data/x'))
    symlinkSync(join(cwd, 'real/x/app.db'), join(cwd, 'data/link.db'))
    symlinkSync(join(cwd, 'nowhere'), join(cwd, 'data/dangling.db'))
    symlinkSync(join(cwd, 'data'), join(cwd, 'data/loop'))
    const of = async (glob: string) =>
      (await findFiles({ kind: 'glob', base: join(cwd, 'data'), pattern: glob }, signal)).files
    expect(await of('*/app.db')).toEqual([join(cwd, 'data/x/app.db')])
    expect(await of('**/*.db')).toEqual([join(cwd, 'data/link.db')])
  })

  it('tell of a folder that cannot be read for another reason than its absence', async () => {
    const base = join(cwd, 'x'.repeat(300))
    const found = await findFiles({ kind: 'folder', base, recursive: false }, signal)
    expect(found).toMatchObject({
      files: [],
      failure: { folder: base, error: { code: 'ENAMETOOLONG' } },
    })
  })
})

describe('which entry has a file', () => {
  it('a path before globs and folders, and of those the first', async () => {
    touch('d/a.db', 'd/b.db', 'd/c.db')
    const yaml = `
bucket: ./r
databases:
  - glob: d/b*.db
    prefix: first
  - folder: d
    prefix: second
  - path: d/a.db
    name: mine
`
    expect(await names(yaml)).toEqual([
      ['mine', 'd/a.db'],
      ['first/b', 'd/b.db'],
      ['second/c', 'd/c.db'],
    ])
  })

  it('a file is one file under whatever link', async () => {
    touch('d/a.db')
    symlinkSync(join(cwd, 'd/a.db'), join(cwd, 'd/z.db'))
    expect(await names('bucket: ./r\ndatabases: [{folder: d}]')).toEqual([['a', 'd/a.db']])
    await expect(names('bucket: ./r\ndatabases: [{path: d/a.db}, {path: d/z.db}]')).rejects.toThrow(
      /a\.db and .*z\.db are the same file/,
    )
  })

  it('two paths of one replica are refused, naming both', async () => {
    touch('d/a.db', 'd/a.sqlite', 'e/a.db')
    const clash = async (yaml: string) => {
      const error: unknown = await names(yaml).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(UsageError)
      return (error as UsageError).message
    }
    expect(await clash('bucket: ./r\ndatabases: [{path: d/a.db}, {path: e/a.db}]')).toBe(
      `${join(cwd, 'd/a.db')} and ${join(cwd, 'e/a.db')} would both be replicated under the name "a".`,
    )
    // The same place by another spelling.
    const spelt =
      'databases: [{path: d/a.db, bucket: "s3://bkt/x/"}, {path: e/a.db, bucket: s3://bkt, prefix: x}]'
    expect(await clash(spelt)).toMatch(/d\/a\.db and .*e\/a\.db would both be replicated/)
    // Inside of what another replica keeps in its own folder.
    touch('e/ltx/0.db')
    const nested =
      'bucket: ./r\ndatabases: [{path: d/a.db, name: x}, {path: e/ltx/0.db, name: x/ltx/0}]'
    expect(await clash(nested)).toMatch(/0\.db would be inside that of .*d\/a\.db\.$/)
  })

  it('two found files with the same replica both get none, because a restart could swap them', async () => {
    touch('d/a.db', 'd/a.sqlite', 'd/b.db')
    const { databases, refused } = await resolved('bucket: ./r\ndatabases: [{folder: d}]')
    expect(databases.map(({ database }) => database.name)).toEqual(['b'])
    const reason = `${join(cwd, 'd/a.db')} and ${join(cwd, 'd/a.sqlite')} would both be replicated under the name "a".`
    expect(refused).toEqual([
      { path: join(cwd, 'd/a.db'), kind: 'folder', reason },
      { path: join(cwd, 'd/a.sqlite'), kind: 'folder', reason },
    ])
  })

  it('one that is already replicated keeps its replica, and so does one given by its path', async () => {
    touch('d/a.db', 'd/a.sqlite')
    const both = await resolved('bucket: ./r\ndatabases: [{folder: d}]', (path) =>
      path.endsWith('a.sqlite'),
    )
    expect(both.databases.map(({ database }) => database.path)).toEqual([join(cwd, 'd/a.sqlite')])
    expect(both.refused.map(({ path }) => path)).toEqual([join(cwd, 'd/a.db')])
    const yaml = 'bucket: ./r\ndatabases: [{folder: d}, {path: d/a.sqlite}]'
    const named = await resolved(yaml)
    expect(named.databases.map(({ database }) => database.path)).toEqual([join(cwd, 'd/a.sqlite')])
    refuseConflicts(named)
    const taken = await resolved(yaml, (path) => path.endsWith('a.db'))
    expect(() => refuseConflicts(taken)).toThrow('would both be replicated')
  })

  it('hard links are recognised only by the fleet, which sees that one of them is open', async () => {
    touch('d/a.db')
    linkSync(join(cwd, 'd/a.db'), join(cwd, 'd/b.db'))
    expect(await names('bucket: ./r\ndatabases: [{folder: d}]')).toHaveLength(2)
  })

  it('a name that walsync list would not find is refused, and one that is too long for a key', async () => {
    touch('d/1/2/3/a.db', 'd/1/2/3/4/b.db', `e/${'ü'.repeat(70)}.db`)
    const deep = await resolved('bucket: ./r\ndatabases: [{glob: "d/**/*.db"}]')
    expect(deep.databases.map(({ database }) => database.name)).toEqual(['1/2/3/a'])
    expect(deep.refused[0]?.reason).toMatch(
      /b\.db would be replicated as "1\/2\/3\/4\/b", of whose 5 parts walsync list looks into 4 only/,
    )
    const long = await resolved('bucket: ./r\ndatabases: [{folder: e}]')
    expect(long.refused[0]?.reason).toMatch(/too long for a key/)
    await expect(names('bucket: ./r\ndatabases: [{path: a.db, name: 1/2/3/4/5}]')).rejects.toThrow(
      /of whose 5 parts/,
    )
  })
})

describe('buckets', () => {
  it('of one entry name its database by the URL of its replica and give it a separate spool folder', async () => {
    const yaml = `
bucket: s3://main/x
spool-dir: /spool
databases:
  - path: a.db
  - path: b.db
    bucket: s3://other/y?region=eu
    name: .
  - path: c/a.db
    bucket: s3://other
`
    const { databases } = await resolved(yaml)
    expect(databases.map(({ database: { name, replica } }) => [name, replica])).toEqual([
      ['a', 's3://main/x/a'],
      ['s3://other/y', 's3://other/y'],
      ['s3://other/a', 's3://other/a'],
    ])
    const spools = databases.map(({ database }) => database.settings.spoolDir)
    expect(spools[0]).toBe('/spool/a')
    expect(new Set(spools).size).toBe(3)
  })

  it.each([
    ['s3://b/x/?region=eu', 's3://b/x'],
    ['s3://b?endpoint=http://h:9000', 's3://h:9000/b'],
    ['bkt/x', 's3://bkt/x'],
    ['./r', `file://${'/cwd'}/r`],
    ['abs://account@container/p', 'abs://account@container/p'],
  ])('%s is at %s', (bucket, expected) => {
    expect(bucketRoot(bucket, '/cwd')).toBe(expected)
  })
})

describe('the command line with a configuration file', () => {
  const yaml = `
bucket: s3://of-the-file
sync-interval: 5s
snapshot: {interval: 1h}
shutdown-timeout: 1m
databases:
  - path: a.db
    sync-interval: 9s
    bucket: s3://of-its-own
    retention: none
`
  it('overrides the file for every database', () => {
    const { sources, shutdownTimeoutMs } = planOf(yaml, {
      bucket: './here',
      syncInterval: '2s',
      keepLast: '3',
      shutdownTimeout: '7s',
      spoolDir: 'spool',
    })
    expect(shutdownTimeoutMs).toBe(7000)
    expect(sources[0]).toMatchObject({ bucket: './here', hasOwnBucket: false })
    expect(sources[0]?.settings).toMatchObject({
      syncIntervalMs: 2000,
      snapshots: { intervalMs: 3_600_000 },
      retention: { keepLast: 3 },
      spoolDir: join(cwd, 'spool'),
    })
    expect(planOf(yaml).sources[0]).toMatchObject({ bucket: 's3://of-its-own', hasOwnBucket: true })
    expect(planOf(yaml, { keepLast: '3', prune: false }).sources[0]?.settings.retention).toBe(
      'none',
    )
  })

  it('names databases if the file does not, and only then', () => {
    const defaults = 'bucket: s3://bkt\nsync-interval: 5s\n'
    expect(planOf(defaults, {}, ['x/app.db'])).toMatchObject({
      isStrict: true,
      sources: [{ where: { path: join(cwd, 'x/app.db') }, settings: { syncIntervalMs: 5000 } }],
    })
    expect(() => planOf(yaml, {}, ['app.db'])).toThrow('on the command line and in walsync.yml')
    expect(() => planOf(yaml, { name: 'x' })).toThrow(
      '--name is for a database on the command line',
    )
    expect(() => planOf(defaults)).toThrow('No database was given, and walsync.yml names none.')
  })

  it('needs a bucket somewhere', () => {
    const bare = 'databases:\n  - path: a.db\n'
    expect(() => planOf(bare)).toThrow('The database at walsync.yml:2 has no bucket')
    expect(planOf(bare, { bucket: 's3://bkt' }).sources[0]?.bucket).toBe('s3://bkt')
  })
})
