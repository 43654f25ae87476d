import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runCli, scratchFolder } from './run-cli.ts'

const folder = scratchFolder()
const home = join(folder.path, 'home')
const cache = join(home, '.cache/walsync')
mkdirSync(home, 0o700)
afterAll(() => folder.remove())

/** Node takes an empty `NODE_COMPILE_CACHE` for none. */
const start = (env: Readonly<Record<string, string>>) =>
  runCli(['--help'], { env: { NODE_COMPILE_CACHE: '', HOME: home, ...env } })
const works = { code: 0, stderr: '', stdout: expect.stringMatching(/^Usage: walsync COMMAND/) }

it('is not kept if Node is told not to', async () => {
  expect(await start({ NODE_DISABLE_COMPILE_CACHE: '1' })).toMatchObject(works)
  expect(existsSync(cache)).toBe(false)
})

it('is kept in the folder that NODE_COMPILE_CACHE names, and nowhere else', async () => {
  const other = join(folder.path, 'other')
  expect(await start({ NODE_COMPILE_CACHE: other })).toMatchObject(works)
  expect(readdirSync(other)).toHaveLength(1)
  expect(existsSync(cache)).toBe(false)
})

it('is kept in the cache folder of the user', async () => {
  expect(await start({})).toMatchObject(works)
  expect(readdirSync(cache)).toHaveLength(1)
  const xdg = join(folder.path, 'xdg')
  mkdirSync(xdg, 0o700)
  expect(await start({ XDG_CACHE_HOME: xdg })).toMatchObject(works)
  expect(readdirSync(join(xdg, 'walsync'))).toHaveLength(1)
})

it.each(['', '/dev/null', '/nowhere', 'relative', '/proc'])(
  'is not needed: walsync starts with HOME=%s',
  async (HOME) => {
    expect(await start({ HOME })).toMatchObject(works)
  },
)

it('is not needed where the folder cannot be made', async () => {
  const blocked = join(folder.path, 'blocked')
  mkdirSync(blocked)
  writeFileSync(join(blocked, '.cache'), 'a file')
  expect(await start({ HOME: blocked })).toMatchObject(works)
})

describe('others must not be able to put code there', () => {
  /** A home whose parts have these modes, down to the folder of the cache. */
  const homeWith = (name: string, modes: readonly number[]): string => {
    const parts = [name, '.cache', 'walsync'].slice(0, modes.length)
    let at = folder.path
    for (const [i, part] of parts.entries()) {
      at = join(at, part)
      mkdirSync(at)
      chmodSync(at, modes[i] as number)
    }
    return join(folder.path, name)
  }

  it.each([
    ['a home that is open to all', [0o777]],
    ['an open .cache', [0o700, 0o777]],
    ['an open folder of the cache', [0o700, 0o700, 0o777]],
    ['a folder of the cache in which others can make files', [0o700, 0o700, 0o1777]],
    ['a folder of the cache that is open to its group', [0o700, 0o700, 0o770]],
  ])('%s is not used', async (name, modes) => {
    const HOME = homeWith(name, modes)
    expect(await start({ HOME })).toMatchObject(works)
    const made = readdirSync(HOME, { recursive: true }).map(String)
    expect(made).toEqual(['.cache', '.cache/walsync'].slice(0, modes.length - 1))
  })

  it('a home such as /tmp, where nobody can replace the files of others, is used', async () => {
    const HOME = homeWith('sticky', [0o1777])
    expect(await start({ HOME })).toMatchObject(works)
    expect(readdirSync(join(HOME, '.cache/walsync'))).toHaveLength(1)
  })

  it.runIf(process.getuid?.() === 0)('a folder of another user is not used', async () => {
    const HOME = homeWith('foreign', [0o1777, 0o700, 0o700])
    chownSync(join(HOME, '.cache/walsync'), 65_534, 65_534)
    chownSync(join(HOME, '.cache'), 65_534, 65_534)
    expect(await start({ HOME })).toMatchObject(works)
    expect(readdirSync(join(HOME, '.cache/walsync'))).toEqual([])
  })
})
