import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { loadPlugins } from '../../src/cli/plugins.ts'
import { UsageError } from '../../src/cli/usage-error.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const GOOD = fileURLToPath(new URL('plugins/good-store.js', import.meta.url))

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

const VALID = "{ apiVersion: 1, name: 'p', schemes: ['p'], layout: 'ltx', open: async () => ({}) }"

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
      /failed while it was loaded \(.*throws\.mjs\): boom/,
    ],
    ['a syntax error', () => module('syntax.mjs', 'export const ='), /failed while it was loaded/],
    [
      'no provider',
      () => module('none.mjs', 'export const x = 1'),
      /none\.mjs.* exports no `provider` object/,
    ],
    [
      'another version',
      () =>
        module(
          'v2.mjs',
          `export const provider = ${VALID.replace('apiVersion: 1', 'apiVersion: 2')}`,
        ),
      /`apiVersion` 2, this version of walsync knows 1/,
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
