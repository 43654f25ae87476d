import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
const scratch = join(cwd, 'tmp')
const run = mkdtempSync(join(tmpdir(), 'ws-'))
const env = { WALSYNC_RUN_DIR: join(run, 'run'), TMPDIR: scratch }
const started: RunningCli[] = []
let db: DatabaseSync

beforeAll(() => {
  mkdirSync(scratch)
  db = sampleDatabase(join(cwd, 'app.db'), 10)
})
afterAll(() => {
  for (const { process: child } of started) child.kill('SIGKILL')
  db.close()
  folder.remove()
  rmSync(run, { recursive: true })
})

function watch(...words: string[]): RunningCli {
  const cli = startCli(['watch', 'app.db', '--json', '-b', './replica', ...words], { cwd, env })
  started.push(cli)
  return cli
}

/** Does a process have the copy in this scratch folder open? */
function isAsking(name: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${name}/`)
    } catch {
      return false
    }
  })
}

async function databaseOf(stdout: string) {
  return JSON.parse(stdout).watchers[0].databases[0]
}

const event = (type: string) => (line: string) => line.includes(`"event":"${type}"`)
const SLOW =
  'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n'

describe('watch --drill-interval', () => {
  it('drills, keeps the history over a restart, and says in status what is wrong', async () => {
    const statement = 'SELECT count(*) < 15 FROM t'
    const drills = ['--drill-interval', '300ms', '--drill-assert', statement]
    const first = watch(...drills)
    const passed = JSON.parse(await first.line(event('drill-passed')))
    expect(passed).toMatchObject({ database: 'app', bytes: expect.any(Number) })
    const before = await runCli(['status', '--json'], { cwd, env })
    expect(before.code).toBe(0)
    expect((await databaseOf(before.stdout)).lastDrill).toMatchObject({
      passed: true,
      failures: [],
    })

    addRows(db, 10)
    const failed = JSON.parse(await first.line(event('drill-failed')))
    const failure = `Assertion failed: ${statement}: found 0`
    expect(failed).toMatchObject({ failures: [failure] })
    const after = await runCli(['status', '--json'], { cwd, env })
    expect(after.code).toBe(1)
    expect(await databaseOf(after.stdout)).toMatchObject({
      state: 'replicating',
      lastError: `the restore drill failed: ${failure}`,
      lastDrill: { passed: false, failures: [failure] },
    })
    first.process.kill('SIGTERM')
    expect(await first.ended).toMatchObject({ code: 0, stderr: expect.stringContaining(failure) })
    expect(readdirSync(scratch)).toEqual([])
    expect(readdirSync(cwd).filter((name) => name.endsWith('.drills.json'))).toHaveLength(1)

    // The next one is due tomorrow, but the last one failed: what it found is known at once.
    const second = watch('--drill-interval', '1d', '--drill-assert', statement)
    await second.line(event('resumed'))
    const restarted = await runCli(['status'], { cwd, env })
    expect(restarted.stdout).toMatch(
      /^app: restore drill failed at \S+Z: Assertion failed: SELECT count\(\*\) < 15 FROM t: found 0$/m,
    )
    second.process.kill('SIGTERM')
    expect((await second.ended).code).toBe(0)
  }, 60_000)

  it('leaves no scratch folder when it is stopped during a drill, and removes one of a killed process', async () => {
    const drills = ['--drill-interval', '300ms', '--drill-assert', SLOW]
    const killed = watch(...drills)
    await until(() => readdirSync(scratch).some(isAsking))
    killed.process.kill('SIGKILL')
    await killed.ended
    const [left] = readdirSync(scratch)
    // The process of the endless statement has ended as well.
    await until(() => !isAsking(left as string))
    expect(left).toMatch(/^walsync-scratch/)

    const stopped = watch(...drills)
    await until(
      () => !readdirSync(scratch).includes(left as string) && readdirSync(scratch).length > 0,
    )
    stopped.process.kill('SIGTERM')
    expect((await stopped.ended).code).toBe(0)
    expect(readdirSync(scratch)).toEqual([])
  }, 60_000)

  it('refuses assertions for drills that would never run with 2', async () => {
    const { code, stderr } = await runCli(
      ['watch', 'app.db', '-b', './replica', '--drill-assert', 'SELECT 1'],
      { cwd, env },
    )
    expect(code).toBe(2)
    expect(stderr).toContain('--drill-assert was given without --drill-interval')
  })
})
