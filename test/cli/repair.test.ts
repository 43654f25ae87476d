import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
const SECOND = join(cwd, 'replica/app/ltx/0/0000000000000002-0000000000000002.ltx')
let db: DatabaseSync
let watcher: RunningCli

beforeAll(async () => {
  db = sampleDatabase(join(cwd, 'app.db'), 200)
  watcher = startCli(['watch', 'app.db', '--json', '-b', './replica'], { cwd })
  await watcher.line((line) => /"event":"base"/.test(line))
  addRows(db, 5)
  await synced(2)
})
afterAll(async () => {
  watcher.process.kill('SIGKILL')
  await watcher.ended
  db.close()
  folder.remove()
})

async function synced(txid: number): Promise<void> {
  const hex = txid.toString(16).padStart(16, '0')
  await watcher.line(
    (line) => line.includes('"event":"synced"') && line.includes(`"txid":"${hex}"`),
  )
}

const repair = (...words: string[]) =>
  runCli(['repair', 'app.db', ...words, '-b', './replica'], { cwd })

async function restored(): Promise<unknown[]> {
  const result = await runCli(['restore', 'app', '-b', './replica', '-o', 'restored.db'], { cwd })
  expect(result).toMatchObject({ code: 0, stderr: '' })
  return rowsOf(join(cwd, 'restored.db'))
}

describe('repair', () => {
  it('makes the newest state restorable again while a watcher runs, and deletes nothing', async () => {
    const bytes = readFileSync(SECOND)
    bytes[bytes.length - 40] = (bytes[bytes.length - 40] as number) ^ 1
    writeFileSync(SECOND, bytes)
    const { code, stdout, stderr } = await repair()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n')).toEqual([
      'app: found',
      expect.stringMatching(/^ {2}Damaged: The object ltx\/0\/0{15}2-0{15}2\.ltx is damaged: /),
      expect.stringMatching(/^ {4}costs TXID 2 \(/),
      expect.stringMatching(/^ {2}not restorable: TXID 2 \(/),
      expect.stringMatching(/^ {2}stored: a snapshot of TXID 2, [\d.]+ kB$/),
      'app: the newest state, TXID 2, can be restored',
      '',
    ])
    expect(readFileSync(SECOND).equals(bytes)).toBe(true)
    addRows(db, 3)
    await synced(3)
    expect(await restored()).toHaveLength(208)
    const again = await repair('--json')
    expect(again.code).toBe(0)
    expect(JSON.parse(again.stdout)).toMatchObject({
      name: 'app',
      path: join(cwd, 'app.db'),
      taken: [],
      after: { verdict: 'degraded', latest: { txid: '0000000000000003', restorable: true } },
    })
  })

  it('writes where nothing has to be repaired only with --force', async () => {
    const forced = await repair('--force')
    expect(forced.code).toBe(0)
    expect(forced.stdout).toMatch(
      /^ {2}stored: a snapshot of TXID 3, .*\napp: the newest state, TXID 3, can be restored\n$/m,
    )
  })

  it('refuses a name that no replica has with 6, and a database that cannot be read with 3', async () => {
    const other = await repair('--name', 'other')
    expect(other).toMatchObject({ code: 6, stdout: '' })
    expect(other.stderr).toMatch(
      /^error: There is no database "other" .*\n {2}try: Use one of: app\.\n$/,
    )
    writeFileSync(join(cwd, 'text.db'), 'x'.repeat(5000))
    const text = await runCli(
      ['repair', 'text.db', '--name', 'app', '--force', '-b', './replica'],
      { cwd },
    )
    expect(text).toMatchObject({ code: 3, stdout: '' })
  })
})
