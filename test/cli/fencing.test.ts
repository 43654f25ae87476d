import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
let cwd: string
let count = 0
let db: DatabaseSync
const started: RunningCli[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  db = sampleDatabase(join(cwd, 'app.db'), 10)
})
afterEach(() => {
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
  if (db.isOpen) db.close()
})
afterAll(() => folder.remove())

function start(...words: string[]): RunningCli {
  const args = ['watch', '--json', '-b', './replica', '--no-probe', '--no-status', ...words]
  const cli = startCli(args, { cwd })
  started.push(cli)
  return cli
}

async function watching(...words: string[]): Promise<RunningCli> {
  const cli = start(...words)
  await cli.line((line) => /"event":"(base|resumed)"/.test(line))
  return cli
}

/** The database as another machine has it that was given a copy; its path. */
function copied(): string {
  mkdirSync(join(cwd, 'copy'))
  for (const name of ['app.db', 'app.db-wal']) {
    copyFileSync(join(cwd, name), join(cwd, 'copy', name))
  }
  return join('copy', 'app.db')
}

const event = async (cli: RunningCli, name: string) =>
  JSON.parse(await cli.line((line) => line.includes(`"event":"${name}"`))) as object

const unlock = (...words: string[]) =>
  runCli(['unlock', 'app', '-b', './replica', ...words], { cwd })

describe('two watchers of copies of one database', () => {
  it('end with one: the newer continues, and the older ends with 75 and names it', async () => {
    const older = await watching('app.db')
    const copy = copied()
    const newer = await watching(copy)
    expect(await event(newer, 'took-over')).toMatchObject({
      epoch: 2,
      from: 1,
      pid: older.process.pid,
    })
    addRows(db, 5)
    const { code, stderr, stdout } = await older.ended
    expect(code).toBe(75)
    expect(stderr).toMatch(
      new RegExp(
        `^error: A newer writer has taken over the replica of app: epoch 2, process ${newer.process.pid} on `,
        'm',
      ),
    )
    expect(stdout.match(/"event":"fenced"/g)).toHaveLength(1)
    await newer.line((line) => line.includes('"event":"synced"'))
    newer.process.kill('SIGTERM')
    expect((await newer.ended).code).toBe(0)
    const args = ['restore', 'app', '-b', './replica', '-o', 'back.db']
    expect((await runCli(args, { cwd })).code).toBe(0)
    expect(rowsOf(join(cwd, 'back.db'))).toEqual(rowsOf(join(cwd, copy)))
  })

  it('end the older one with 75, not a timed-out sync, even if it stops before it has written', async () => {
    const older = await watching('app.db', '--sync-interval', '1h')
    addRows(db, 1)
    await older.line((line) => line.includes('"event":"synced"'))
    const newer = await watching(copied())
    await event(newer, 'took-over')
    addRows(db, 5)
    older.process.kill('SIGTERM')
    const { code, stderr } = await older.ended
    expect({ code, stderr }).toEqual({ code: 75, stderr: expect.stringMatching(/taken over/) })
  })

  it('fence one of many databases: the others continue, and the exit code is 75', async () => {
    const other = sampleDatabase(join(cwd, 'other.db'), 1)
    const older = await watching('app.db', 'other.db')
    await older.line((line) => line.includes('"database":"other"'))
    const newer = await watching(copied())
    await event(newer, 'took-over')
    addRows(db, 5)
    await event(older, 'fenced')
    addRows(other, 3)
    await older.line((line) => line.includes('"event":"synced"') && line.includes('"other"'))
    older.process.kill('SIGTERM')
    expect((await older.ended).code).toBe(75)
    const args = ['restore', 'other', '-b', './replica', '-o', 'back.db']
    expect((await runCli(args, { cwd })).code).toBe(0)
    expect(rowsOf(join(cwd, 'back.db'))).toHaveLength(4)
    other.close()
  })
})

describe('--single-writer strict and unlock', () => {
  it('keep a second watcher off until the first is gone and the claim is unlocked', async () => {
    const first = await watching('app.db', '--single-writer', 'strict')
    const refused = await start(copied(), '--single-writer', 'strict').ended
    expect(refused.code).toBe(75)
    expect(refused.stderr).toMatch(
      new RegExp(
        `^error: Another writer holds the replica of app: epoch 1, process ${first.process.pid} on .+, since .+\\.\\n {2}try: Stop that writer\\. .+walsync unlock app -b URL\\.$`,
        'm',
      ),
    )
    first.process.kill('SIGKILL')
    await first.ended
    expect((await start('app.db', '--single-writer', 'strict').ended).code).toBe(75)

    const unlocked = await unlock('--json')
    expect(unlocked.code).toBe(0)
    expect(JSON.parse(unlocked.stdout)).toEqual({
      name: 'app',
      unlocked: [
        {
          epoch: 1,
          pid: first.process.pid,
          host: expect.any(String),
          startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
        },
      ],
    })

    const second = await watching('app.db', '--single-writer', 'strict')
    expect(await event(second, 'took-over')).toMatchObject({ epoch: 2, from: 1 })
    second.process.kill('SIGTERM')
    expect((await second.ended).code).toBe(0)
    const third = await watching('app.db', '--single-writer', 'strict')
    third.process.kill('SIGKILL')
    expect((await third.ended).stdout).not.toContain('took-over')
    expect((await unlock()).stdout).toMatch(
      /^app: unlocked epoch 3, process \d+ on .+, since .+\n$/,
    )
  })

  it('unlock exits with 6 for an unknown name, and lists those that exist', async () => {
    const first = await watching('app.db', '--no-fencing')
    first.process.kill('SIGTERM')
    await first.ended
    const { code, stderr } = await runCli(['unlock', 'ap', '-b', './replica'], { cwd })
    expect({ code, stderr }).toEqual({
      code: 6,
      stderr: expect.stringMatching(/There is no database "ap" .*\n {2}try: Use one of: app\.\n$/),
    })
    expect(existsSync(join(cwd, 'replica', 'ap'))).toBe(false)
    // One that was never claimed is no error.
    expect(await unlock()).toMatchObject({ code: 0, stdout: 'app: no claim is locked\n' })
  })
})
