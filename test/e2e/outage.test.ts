import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { spawnCli } from '../support/e2e-cli.ts'
import { until } from '../support/until.ts'

const DATABASES = 10
let cwd: string
let databases: DatabaseSync[]
let watcher: ReturnType<typeof spawnCli> | undefined

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'ws-'))
  mkdirSync(join(cwd, 'run'), { mode: 0o700 })
  databases = Array.from({ length: DATABASES }, (_, i) => {
    const db = new DatabaseSync(join(cwd, `d${i}.db`))
    db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    return db
  })
})
afterEach(() => {
  watcher?.child.kill('SIGKILL')
  for (const db of databases) db.close()
  rmSync(cwd, { recursive: true })
})

const where = () => ({ cwd, env: { WALSYNC_RUN_DIR: join(cwd, 'run') } })
const statusCode = async (...words: string[]) =>
  (await spawnCli(['status', ...words], where()).ended).code

async function untilStatus(code: number): Promise<void> {
  while ((await statusCode()) !== code) expect(watcher!.child.exitCode).toBeNull()
}

it('of a store of ten databases is trouble while it lasts, and two lines of the log', async () => {
  const files = databases.map((_, i) => `d${i}.db`)
  watcher = spawnCli(['watch', '--json', ...files, '-b', './replica'], where())
  await until(() => watcher!.stdout().split('"event":"base"').length > DATABASES)
  await untilStatus(0)

  renameSync(join(cwd, 'replica'), join(cwd, 'away'))
  writeFileSync(join(cwd, 'replica'), '')
  for (const db of databases) db.exec('INSERT INTO t VALUES (2)')
  const failures = () => watcher!.stdout().split('"event":"store-error"').length - 1
  await until(() => failures() > 2 * DATABASES)
  expect(await statusCode()).toBe(1)
  const { stdout } = await spawnCli(['status'], where()).ended
  expect(stdout.match(/^d\d: since \d{4}-.*Z: .*replica/gm)).toHaveLength(DATABASES)
  expect(await statusCode('--max-lag', '1h')).toBe(1)

  rmSync(join(cwd, 'replica'))
  renameSync(join(cwd, 'away'), join(cwd, 'replica'))
  await untilStatus(0)
  watcher.child.kill('SIGTERM')
  const { code, stderr } = await watcher.ended
  expect(code).toBe(0)
  const told = stderr.split('\n').filter((line) => /the store/.test(line))
  expect(told).toEqual([
    expect.stringMatching(/warn.*the store failed; changes wait in the WAL: .* try: /),
    expect.stringMatching(/info.*the store is reachable again after \d/),
    expect.stringMatching(/ended, everything is in the store: d0 up to TXID 2, .*d9 up to TXID 2/),
  ])
}, 60_000)
