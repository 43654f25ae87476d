import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { BUILT_CLI } from '../support/built-cli.ts'
import { runCli, scratchFolder } from './run-cli.ts'
import { sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
afterAll(() => folder.remove())

it('the time of a state is that of its first file, not of a later snapshot of it', async () => {
  const db = sampleDatabase(join(cwd, 'app.db'), 1)
  expect(await runCli(['snapshot', 'app.db', '-b', './r'], { cwd })).toMatchObject({ code: 0 })
  db.close()
  const name = '0000000000000001-0000000000000001.ltx'
  mkdirSync(join(cwd, 'r/app/ltx/0'))
  copyFileSync(join(cwd, 'r/app/ltx/9', name), join(cwd, 'r/app/ltx/0', name))
  const then = new Date('2026-01-02T03:04:05Z')
  utimesSync(join(cwd, 'r/app/ltx/0', name), then, then)
  const { stdout } = await runCli(['list', '-b', './r', '--json'], { cwd })
  const time = then.toISOString()
  expect(JSON.parse(stdout)).toMatchObject({
    databases: [{ name: 'app', newestAt: time, restorableTimes: { from: time, to: time } }],
  })
})

it('names a working folder that has been deleted', () => {
  const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$1" list -b "$2"'
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, BUILT_CLI, cwd], {
    cwd,
    encoding: 'utf8',
  })
  expect(stderr).toBe(
    'error: The working folder has been deleted.\n  try: Change to another folder.\n',
  )
  expect(status).toBe(2)
})
