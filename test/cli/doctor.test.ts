import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { runtimeFindings } from '../../src/cli/commands/doctor.ts'
import { runCli, scratchFolder } from './run-cli.ts'

const ODD = fileURLToPath(new URL('plugins/odd-store.ts', import.meta.url))

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

interface Examination {
  readonly fit: boolean
  readonly findings: readonly { name: string; status: string; text: string }[]
  readonly leftBehind?: readonly string[]
  readonly race?: { writers: number; winners: number }
}

async function examine(what: string, ...words: string[]) {
  const url = `odd://${what}${encodeURI(join(cwd, what))}`
  const { code, stdout, stderr } = await runCli(
    ['doctor', '-b', url, '--plugin', ODD, '--json', '-q', ...words],
    { cwd },
  )
  expect(stderr).toBe('')
  const examination = JSON.parse(stdout) as Examination
  const by = Object.fromEntries(examination.findings.map((one) => [one.name, one]))
  return { code, by, examination }
}

describe('doctor of a sound folder', () => {
  it('fits on one screen, says that the store is suitable, exits with 0 and leaves nothing behind', async () => {
    mkdirSync(join(cwd, 'sound'))
    const { code, stdout, stderr } = await runCli(['doctor', '-b', './sound'], { cwd })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    expect(lines.length).toBeLessThan(24)
    expect(lines.at(-1)).toBe('fit for use')
    for (const name of [
      'node',
      'sqlite',
      'url',
      'store',
      'credentials',
      'clock',
      'create-only',
      'compare-and-swap',
      'read-after-write',
      'list-order',
      'delete',
      'permissions',
      'latency',
    ]) {
      expect(lines.filter((line) => new RegExp(`^ok +${name} `).test(line))).toHaveLength(1)
    }
    expect(stdout).toMatch(/latency +put [\d.]+ ms, get [\d.]+ ms, head .*, list .*, delete/)
    expect(readdirSync(join(cwd, 'sound')).filter((name) => name !== '.walsync-tmp')).toEqual([])
  })

  it('gives the same as JSON', async () => {
    const { code, stdout } = await runCli(['doctor', '-b', './sound', '--json'], { cwd })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      fit: true,
      backend: 'file',
      layout: 'ltx',
      leftBehind: [],
      clockSkewMs: expect.any(Number),
      latencyMs: { put: expect.any(Number), delete: expect.any(Number) },
    })
  })
})

describe('doctor of a store that is not suitable', () => {
  it('exits with 4 for a folder that does not exist, without creating it or trying anything else', async () => {
    const { code, stdout } = await runCli(['doctor', '-b', './none'], { cwd })
    expect(code).toBe(4)
    expect(stdout).toMatch(/^failed +credentials +.*none/m)
    expect(stdout).not.toContain('create-only')
    expect(stdout).toMatch(/NOT fit for use\n$/)
    expect(existsSync(join(cwd, 'none'))).toBe(false)
  })

  it('exits with 4 for one that ignores create-only puts, and names the consequence', async () => {
    const { code, by } = await examine('liar')
    expect(code).toBe(4)
    expect(by['create-only']).toMatchObject({
      status: 'failed',
      text: expect.stringContaining('could overwrite each other'),
    })
    expect(by['list-order']?.status).toBe('ok')
  })

  it.each([
    ['garbling', 'read-after-write', /^get returns other bytes/],
    ['stubborn', 'compare-and-swap', /^A put with the current version failed/],
  ])('one that is %s: 4', async (what, name, text) => {
    const { code, by, examination } = await examine(what)
    expect({ code, fit: examination.fit }).toEqual({ code: 4, fit: false })
    expect(by[name]).toMatchObject({ status: 'failed', text: expect.stringMatching(text) })
  })

  it('exits with 4 for one that cannot be written, and names the verb', async () => {
    const { code, by } = await examine('no-put')
    expect(code).toBe(4)
    expect(by.permissions).toMatchObject({
      status: 'failed',
      text: expect.stringMatching(/^missing: put \(/),
    })
    expect(by['create-only']?.status).toBe('untried')
  })

  it('one that does not answer: 4', async () => {
    const { code, by, examination } = await examine('down')
    expect({ code, fit: examination.fit }).toEqual({ code: 4, fit: false })
    expect(by.credentials).toMatchObject({
      status: 'failed',
      text: expect.stringContaining('The store does not answer.'),
    })
  })
})

describe('doctor of a store with a weakness that it declares', () => {
  it.each([
    ['frank', 'create-only', /declares none: two writers/],
    ['regional', 'consistency', /within one region only/],
    ['slow', 'clock', /^36\d\d s ahead of the store's/],
    ['no-delete', 'permissions', /^missing: delete \(/],
  ])('%s: a warning of %s, and 0', async (what, name, text) => {
    const { code, by, examination } = await examine(what)
    expect({ code, fit: examination.fit }).toEqual({ code: 0, fit: true })
    expect(by[name]).toMatchObject({ status: 'warning', text: expect.stringMatching(text) })
    expect(examination.leftBehind).toHaveLength(what === 'no-delete' ? 2 : 0)
  })
})

describe('doctor --race', () => {
  it('finds that two concurrent writers both win, though sequential ones do not, and ends with 4', async () => {
    const alone = await examine('racy')
    expect(alone.code).toBe(0)
    expect(alone.by['create-only']?.status).toBe('ok')
    expect(alone.examination).not.toHaveProperty('race')

    const { code, by, examination } = await examine('racy', '--race', '8')
    expect({ code, fit: examination.fit }).toEqual({ code: 4, fit: false })
    expect(by['create-only']?.status).toBe('ok')
    expect(by.race).toMatchObject({
      status: 'failed',
      text: expect.stringMatching(/^Of 8 concurrent create-only puts of one key \d were accepted/),
    })
    expect(examination.race!.winners).toBeGreaterThan(1)
  })

  it('has one winner in a sound folder, says so, and leaves nothing behind', async () => {
    const { code, stdout } = await runCli(['doctor', '-b', './sound', '--race', '16'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ok +race +Of 16 .* one was accepted, and get returns its bytes\.$/m)
    expect(readdirSync(join(cwd, 'sound')).filter((name) => name !== '.walsync-tmp')).toEqual([])
  })

  it('is skipped if the backend declares no create-only puts, and refuses bad values', async () => {
    const { code, by } = await examine('frank', '--race', '4')
    expect(code).toBe(0)
    expect(by.race?.status).toBe('skipped')
    const wrong = await runCli(['doctor', '-b', './sound', '--race', 'many'], { cwd })
    expect(wrong.code).toBe(2)
  })
})

describe('the runtime', () => {
  const statuses = (node: string, sqlite: string | undefined) =>
    runtimeFindings({ node, sqlite }).map(({ status }) => status)

  it.each([
    ['24.0.0', '3.51.3', ['ok', 'ok']],
    ['24.21.0', '3.53.4', ['ok', 'ok']],
    ['25.1.0', '4.0.0', ['ok', 'ok']],
    ['24.1.0', '3.51.2', ['ok', 'failed']],
    ['24.1.0', '3.50.7', ['ok', 'failed']],
    ['22.21.0', '3.51.3', ['failed', 'ok']],
    ['24.1.0', undefined, ['ok', 'failed']],
  ])('Node %s with SQLite %s', (node, sqlite, expected) => {
    expect(statuses(node, sqlite)).toEqual(expected)
  })
})

describe('a URL that cannot be meant', () => {
  it('is a wrong command line, 2', async () => {
    const { code, stderr } = await runCli(['doctor', '-b', 'ftp://x'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: No backend knows ftp/)
  })
})
