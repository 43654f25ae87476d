import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
const home = join(folder.path, 'home')
const cache = join(home, '.cache/walsync')
mkdirSync(home)
afterAll(() => folder.remove())

/** Node takes an empty `NODE_COMPILE_CACHE` for none. */
const version = (env: Readonly<Record<string, string>>) =>
  runCli(['--version'], { env: { NODE_COMPILE_CACHE: '', HOME: home, ...env } })
const works = { code: 0, stderr: '', stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) }

it('is not kept if Node is told not to', async () => {
  expect(await version({ NODE_DISABLE_COMPILE_CACHE: '1' })).toMatchObject(works)
  expect(existsSync(cache)).toBe(false)
})

it('is kept in the folder that NODE_COMPILE_CACHE names, and nowhere else', async () => {
  const other = join(folder.path, 'other')
  expect(await version({ NODE_COMPILE_CACHE: other })).toMatchObject(works)
  expect(readdirSync(other)).toHaveLength(1)
  expect(existsSync(cache)).toBe(false)
})

it('is kept in the cache folder of the user', async () => {
  expect(await version({})).toMatchObject(works)
  expect(readdirSync(cache)).toHaveLength(1)
  const xdg = join(folder.path, 'xdg')
  mkdirSync(xdg)
  expect(await version({ XDG_CACHE_HOME: xdg })).toMatchObject(works)
  expect(readdirSync(join(xdg, 'walsync'))).toHaveLength(1)
})

it.each(['', '/dev/null', '/nowhere', 'relative', '/proc'])(
  'is not needed: walsync starts with HOME=%s',
  async (HOME) => {
    expect(await version({ HOME })).toMatchObject(works)
  },
)

it('is not needed where the folder cannot be made', async () => {
  const blocked = join(folder.path, 'blocked')
  mkdirSync(blocked)
  writeFileSync(join(blocked, '.cache'), 'a file')
  expect(await version({ HOME: blocked })).toMatchObject(works)
})
