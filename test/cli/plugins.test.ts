import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { UsageError } from '../../src/cli/args/usage-error.ts'
import { loadPlugins } from '../../src/cli/composition/plugins.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const GOOD = fileURLToPath(new URL('plugins/good-store.js', import.meta.url))

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

const VALID = "{ apiVersion: 2, name: 'p', schemes: ['p'], layout: 'ltx', open: async () => ({}) }"

function module(name: string, source: string): string {
  writeFileSync(join(cwd, name), source)
  return `./${name}`
}

function installed(name: string, source: string): string {
  const path = join(cwd, 'node_modules', name)
  mkdirSync(path, { recursive: true })
  writeFileSync(
    join(path, 'package.json'),
    JSON.stringify({ name, type: 'module', main: 'main.js' }),
  )
  writeFileSync(join(path, 'main.js'), source)
  return name
}

describe('loadPlugins', () => {
  it('loads a package by name from the folder it is run in, and a module by path', async () => {
    const named = installed('@acme/walsync-store', `export const provider = ${VALID}`)
    const path = module('other.mjs', `export const provider = ${VALID.replaceAll("'p'", "'q'")}`)
    const plugins = await loadPlugins([named, path, GOOD], cwd)
    expect(plugins.map(({ schemes }) => schemes)).toEqual([['p'], ['q'], ['good']])
    expect((await plugins[0]!.load()).name).toBe('p')
  })

  it('does not run a package that was not named', async () => {
    installed('walsync-store-evil', 'process.exit(99)\nexport const provider = {}')
    expect(await loadPlugins([], cwd)).toEqual([])
    const { code } = await runCli(['list', '-b', 'evil://x'], { cwd })
    expect(code).toBe(2)
  })

  it.each([
    [
      'a package that is not installed',
      () => 'walsync-store-nope',
      /The plugin walsync-store-nope was not found/,
    ],
    ['a path that does not exist', () => './nope.js', /The plugin \.\/nope\.js was not found/],
    [
      'an import that throws',
      () => module('throws.mjs', "throw new Error('boom')"),
      /Loading the plugin .*\(.*throws\.mjs\) failed: boom/,
    ],
    [
      'a syntax error',
      () => module('syntax.mjs', 'export const ='),
      /Loading the plugin .* failed/,
    ],
    [
      'no provider',
      () => module('none.mjs', 'export const x = 1'),
      /none\.mjs.* exports no `provider` object/,
    ],
    [
      'another version',
      () =>
        module(
          'v1.mjs',
          `export const provider = ${VALID.replace('apiVersion: 2', 'apiVersion: 1')}`,
        ),
      /`apiVersion` 1, but this version of walsync needs 2/,
    ],
    [
      'no schemes',
      () => module('s.mjs', `export const provider = ${VALID.replace("['p']", '[]')}`),
      /has no `schemes`/,
    ],
    [
      'a bad scheme',
      () => module('b.mjs', `export const provider = ${VALID.replace("['p']", "['P:']")}`),
      /has "P:" in `schemes`/,
    ],
    [
      'no layout',
      () => module('l.mjs', `export const provider = ${VALID.replace("layout: 'ltx',", '')}`),
      /has no `layout`/,
    ],
    [
      'no open',
      () =>
        module('o.mjs', `export const provider = ${VALID.replace('open: async () => ({})', '')}`),
      /has no function `open`/,
    ],
  ])('says what is wrong with %s', async (_what, plugin, message) => {
    const failure = loadPlugins([plugin()], cwd)
    await expect(failure).rejects.toBeInstanceOf(UsageError)
    await expect(failure).rejects.toThrow(message)
  })
})

describe('a plugin that is loaded', () => {
  const options = { signal: new AbortController().signal }
  const url = new URL('p://host/x')
  const open = async (name: string, body: string) => {
    const path = module(name, `export const provider = ${VALID.replace('({})', body)}`)
    const [plugin] = await loadPlugins([path], cwd)
    return (await plugin!.load()).open(url, {}, options)
  }
  const whole = (change = '') => `{ const all = { description: 'x', capabilities: {
    ifAbsent: 'atomic', ifMatch: 'none', deleteIfMatch: 'none', consistency: 'strong',
    flatNamespace: true, listsCreatedAt: true, maxObjectBytes: 1, maxKeyBytes: 512 } }
    for (const m of ['check', 'put', 'get', 'head', 'list', 'listDir', 'delete', 'deleteMany', 'close']) all[m] = () => {}
    ${change}
    return all }`

  it('is blamed for errors that its open throws, with the URL', async () => {
    const failure = open('throws-in-open.mjs', "{ throw new TypeError('no such disk') }")
    await expect(failure).rejects.toBeInstanceOf(UsageError)
    await expect(failure).rejects.toThrow(
      'The plugin ./throws-in-open.mjs failed to open p://host/x: no such disk',
    )
  })

  it('may refuse a URL with its own StoreError', async () => {
    const failure = open(
      'refuses.mjs',
      "{ throw Object.assign(new Error('bad URL'), { code: 'InvalidArgument', op: 'open', [Symbol.for('walsync/StoreError')]: true }) }",
    )
    await expect(failure).rejects.toMatchObject({ code: 'InvalidArgument', message: 'bad URL' })
  })

  it('gives its store back as it is', async () => {
    expect(await open('whole.mjs', whole())).toMatchObject({ description: 'x' })
  })

  it.each([
    ['nothing', '{}', 'The store of the plugin ./nothing.mjs is not an object.'],
    [
      'no-list',
      whole('delete all.list'),
      'The store of the plugin ./no-list.mjs has no method list.',
    ],
    ['no-name', whole('delete all.description'), 'has no description'],
    ['no-capabilities', whole('delete all.capabilities'), 'capability ifAbsent as undefined'],
    [
      'bad-capability',
      whole("all.capabilities.ifAbsent = 'yes'"),
      'declares the capability ifAbsent as "yes", expected atomic or none.',
    ],
  ])('is refused with a store that has %s', async (name, body, message) => {
    const failure = open(`${name}.mjs`, body)
    await expect(failure).rejects.toBeInstanceOf(UsageError)
    await expect(failure).rejects.toThrow(message)
  })

  it.each([
    [1, /made for another version of walsync.*writing-a-backend/],
    [3, /^Update walsync/],
  ])('of version %i gets a hint to install another one, not to fix it', async (version, hint) => {
    const path = module(
      `version-${version}.mjs`,
      `export const provider = ${VALID.replace('apiVersion: 2', `apiVersion: ${version}`)}`,
    )
    await expect(loadPlugins([path], cwd)).rejects.toMatchObject({
      message: expect.stringContaining(
        `\`apiVersion\` ${version}, but this version of walsync needs 2`,
      ),
      hint: expect.stringMatching(hint),
    })
  })

  it('of version 1 gets the same hint if its imports no longer exist', async () => {
    const store = fileURLToPath(new URL('../../src/core/store/index.ts', import.meta.url))
    const walsync = join(cwd, 'node_modules', 'walsync')
    mkdirSync(walsync, { recursive: true })
    writeFileSync(
      join(walsync, 'package.json'),
      JSON.stringify({ name: 'walsync', type: 'module', exports: { './store': './store.js' } }),
    )
    writeFileSync(join(walsync, 'store.js'), `export * from ${JSON.stringify(store)}`)
    const source =
      "import { CallScope } from 'walsync/store'\nexport const provider = { CallScope }"
    const plugin = module('links-v1.mjs', source)
    const { code, stderr } = await runCli(['list', '-b', 'p://x', '--plugin', plugin], { cwd })
    expect(code).toBe(2)
    expect(stderr).toContain('CallScope')
    expect(stderr).toContain('made for another version of walsync')
  })
})

describe('resolution', () => {
  it('sees a package that exports itself to import alone', async () => {
    const path = join(cwd, 'node_modules', 'esm-only')
    mkdirSync(path, { recursive: true })
    const exports = { '.': { types: './x.d.ts', import: './main.js' } }
    writeFileSync(
      join(path, 'package.json'),
      JSON.stringify({ name: 'esm-only', type: 'module', exports }),
    )
    writeFileSync(join(path, 'main.js'), `export const provider = ${VALID}`)
    expect(await loadPlugins(['esm-only'], cwd)).toHaveLength(1)
  })

  it('does not mistake a file of the current folder, or a module of Node, for a package', async () => {
    module('walsync-plugins.js', 'process.exit(98)')
    module('bare-name.js', 'process.exit(97)')
    for (const name of ['bare-name', 'bare-name.js', 'fs', 'node:fs']) {
      await expect(loadPlugins([name], cwd)).rejects.toThrow(`The plugin ${name} was not found`)
    }
    expect(await loadPlugins([], cwd)).toEqual([])
  })
})

describe('--plugin', () => {
  it('brings its scheme, for this run', async () => {
    const without = await runCli(['list', '-b', 'good://x'], { cwd })
    expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining('--plugin') })
    const { code, stdout } = await runCli(['list', '-b', 'good://x', '--plugin', GOOD], { cwd })
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'No databases in mem://.\n' })
  })

  it('is refused for a built-in scheme, with 2', async () => {
    const path = module(
      'shadow.mjs',
      `export const provider = ${VALID.replace("['p']", "['file']")}`,
    )
    const { code, stderr } = await runCli(['list', '-b', '.', '--plugin', path], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /^error: The plugin \.\/shadow\.mjs wants the scheme file:\/\/, which belongs to file\.\n {2}try: /,
    )
  })
})
