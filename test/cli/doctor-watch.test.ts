import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const ODD = fileURLToPath(new URL('plugins/odd-store.ts', import.meta.url))

const folder = scratchFolder()
let cwd: string
let count = 0
let db: DatabaseSync
let started: RunningCli[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  db = sampleDatabase(join(cwd, 'app.db'), 10)
})
afterEach(() => {
  for (const { process: child } of started) child.kill('SIGKILL')
  started = []
  if (db.isOpen) db.close()
})
afterAll(() => folder.remove())

const urlOf = (what: string) => `odd://${what}${encodeURI(join(cwd, 'replica'))}`

function start(what: string, ...words: string[]): RunningCli {
  const args = ['watch', 'app.db', '--json', '-b', urlOf(what), '--plugin', ODD, ...words]
  const cli = startCli(args, { cwd })
  started.push(cli)
  return cli
}

async function end(cli: RunningCli): Promise<{ code: number | null; warnings: string[] }> {
  cli.process.kill('SIGTERM')
  const { code, stderr } = await cli.ended
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'))
  const entries = lines.map((line) => JSON.parse(line) as { level: string; msg: string })
  return {
    code,
    warnings: entries.filter(({ level }) => level === 'warn').map(({ msg }) => msg),
  }
}

const based = (cli: RunningCli) => cli.line((line) => line.includes('"event":"base"'))
const probed = (cli: RunningCli) => cli.line((line) => line.includes('"event":"store-probed"'))

describe('the probe of a starting watch', () => {
  it('is silent where all is well, leaves nothing, and list does not show it', async () => {
    const cli = start('sound')
    await based(cli)
    const line = JSON.parse(await probed(cli)) as { checks: { status: string }[] }
    expect(line.checks.map(({ status }) => status)).toEqual(Array(5).fill('ok'))
    expect(readdirSync(join(cwd, 'replica')).filter((name) => name !== '.walsync-tmp')).toEqual([
      'app',
    ])
    expect(await end(cli)).toEqual({ code: 0, warnings: [] })
  })

  it('warns once about a store that ignores create-only puts, and continues if fencing is off', async () => {
    const cli = start('liar', '--no-fencing')
    await based(cli)
    await probed(cli)
    addRows(db, 5)
    const { code, warnings } = await end(cli)
    expect(code).toBe(0)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(
      /second create-only put .* was accepted, .*two writers of one replica could overwrite each other's history unseen/,
    )
    const args = ['restore', 'app', '-b', './replica', '-o', 'back.db']
    expect((await runCli(args, { cwd })).code).toBe(0)
    expect(rowsOf(join(cwd, 'back.db'))).toHaveLength(15)
  })

  it.each([
    ['frank', ['--no-fencing'], /declares none: two writers/],
    ['regional', [], /within one region only/],
    ['no-delete', [], /may not delete; left behind: walsync-probe\//],
  ])('%s: one warning', async (what, words, says) => {
    const cli = start(what, ...words)
    await based(cli)
    await probed(cli)
    const { code, warnings } = await end(cli)
    expect(code).toBe(0)
    expect(warnings).toEqual([expect.stringMatching(says)])
    const list = await runCli(['list', '-b', './replica', '--json'], { cwd })
    expect(JSON.parse(list.stdout)).toMatchObject({ databases: [{ name: 'app' }] })
    expect((JSON.parse(list.stdout) as { databases: unknown[] }).databases).toHaveLength(1)
  })

  it.each([
    ['alone', []],
    ['with fencing off', ['--no-fencing']],
    ['with a command, which does not outlive it', ['--', 'sleep', '1000']],
  ])('refuses a store whose get returns other bytes, with 4: %s', async (_what, words) => {
    const { code, stderr, stdout } = await start('garbling', ...words).ended
    expect(code).toBe(4)
    const [error, hint] = stderr.split('\n').slice(-3)
    expect(error).toMatch(
      /^error: file:.* does not return what was stored in it: get returns other/,
    )
    expect(hint).toMatch(/^ {2}try: A replica there could not be restored/)
    expect(stdout).toContain('"event":"store-probed"')
    expect(stderr).not.toContain('"msg":"watching"')
  })

  it('warns of a store in which compare-and-swap never succeeds', async () => {
    const cli = start('stubborn')
    await based(cli)
    await probed(cli)
    const { code, warnings } = await end(cli)
    expect(code).toBe(0)
    expect(warnings).toEqual([expect.stringContaining('A put with the current version failed')])
  })

  it('of a store that is down does not end watch', async () => {
    const cli = start('down', '--shutdown-timeout', '500ms')
    await cli.line((line) => line.includes('"event":"store-error"'))
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(cli.process.exitCode).toBe(null)
    const { code, warnings } = await end(cli)
    expect(code).toBe(4)
    expect(warnings.filter((text) => text.startsWith('the store could not be probed'))).toEqual([
      expect.stringContaining('The store does not answer.'),
    ])
  })

  it('is left out with --no-probe', async () => {
    const cli = start('liar', '--no-probe', '--no-fencing')
    await based(cli)
    addRows(db, 1)
    await cli.line((line) => line.includes('"event":"synced"'))
    const { code, warnings } = await end(cli)
    expect({ code, warnings }).toEqual({ code: 0, warnings: [] })
    expect((await cli.ended).stdout).not.toContain('store-probed')
  })

  it('does not touch the store for a database that is refused', async () => {
    const { code } = await runCli(['watch', 'nope.db', '-b', './replica'], { cwd })
    expect(code).toBe(3)
    expect(existsSync(join(cwd, 'replica'))).toBe(false)
  })
})

describe('fencing', () => {
  it.each([
    ['liar', /accepts a second create-only put of one key/],
    ['frank', /has no create-only puts/],
  ])('refuses %s with 4 before anything of the database is stored', async (what, says) => {
    const { code, stderr } = await start(what).ended
    expect(code).toBe(4)
    const [error, hint] = stderr.split('\n').slice(-3)
    expect(error).toMatch(/^error: file:.*replica\/app /)
    expect(error).toMatch(says)
    expect(hint).toMatch(/^ {2}try: Use a store with conditional writes.+--no-fencing\.$/)
    const names = existsSync(join(cwd, 'replica')) ? readdirSync(join(cwd, 'replica')) : []
    // The probe runs beside the start; its folder may stay, its objects do not.
    expect(names.filter((name) => !['.walsync-tmp', 'walsync-probe'].includes(name))).toEqual([])
  })

  it('does not begin where the credentials may not put', async () => {
    const { code, stderr } = await start('no-put').ended
    expect(code).toBe(4)
    expect(stderr).toMatch(/^error: The credentials may not put app\/walsync\/epochs\//m)
  })

  it('is tried with a claim, which a clean end releases', async () => {
    const cli = start('sound')
    const claimed = cli.line((line) => line.includes('"event":"claimed"'))
    expect(JSON.parse(await claimed)).toMatchObject({ database: 'app', epoch: 1 })
    await based(cli)
    expect((await end(cli)).code).toBe(0)
    expect(readdirSync(join(cwd, 'replica', 'app', 'walsync', 'epochs'))).toEqual([
      '0000000000000001.claim',
      '0000000000000001.end',
    ])
  })

  it('can be left out, and then claims nothing', async () => {
    const cli = start('frank', '--no-fencing', '--no-probe')
    await based(cli)
    expect((await end(cli)).code).toBe(0)
    expect(existsSync(join(cwd, 'replica', 'app', 'walsync'))).toBe(false)
  })
})
