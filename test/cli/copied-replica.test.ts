import { cpSync, existsSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, rowsOf, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
const cwd = folder.path
const db = sampleDatabase(join(cwd, 'app.db'), 50)
const COPY = ['-b', './copy']

/** As a copy tool brings it from a bucket: the level folders have S3's names. */
beforeAll(async () => {
  await run('snapshot', 'app.db', '-b', './own')
  addRows(db, 5)
  await run('snapshot', 'app.db', '-b', './own')
  cpSync(join(cwd, 'own'), join(cwd, 'copy'), { recursive: true, preserveTimestamps: true })
  const app = join(cwd, 'copy/app')
  for (const level of readdirSync(join(app, 'ltx'))) {
    renameSync(join(app, 'ltx', level), join(app, `000${level}`))
  }
  renameSync(join(app, 'ltx'), join(cwd, 'empty'))
})
afterAll(() => {
  db.close()
  folder.remove()
})

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, { cwd })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

describe('a replica copied from a store with the other layout', () => {
  it('is listed, verified, restored and planned for', async () => {
    expect(await run('list', ...COPY)).toMatch(/^app +[12] /m)
    expect(await run('verify', 'app', ...COPY)).toMatch(/^app +good /m)
    expect(await run('verify', '--all', '--restore', ...COPY)).toMatch(/^app +good /m)
    await run('restore', 'app', '-o', 'restored.db', ...COPY)
    expect(rowsOf(join(cwd, 'restored.db'))).toEqual(rowsOf(join(cwd, 'app.db')))
    await run('compact', 'app', ...COPY)
    await run('prune', 'app', '--dry-run', ...COPY)
    expect(existsSync(join(cwd, 'copy/app/ltx'))).toBe(false)
  })

  it.each(['watch', 'snapshot'])('is refused by %s, which names the way on', async (command) => {
    const { code, stderr } = await runCli([command, 'app.db', ...COPY], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(/copied from another kind of store.*0000 to 0009/s)
    expect(stderr).toMatch(/layout=hex/)
    expect(existsSync(join(cwd, 'copy/app/ltx'))).toBe(false)
  })

  it('continues in the layout that the URL names', async () => {
    const url = `${pathToFileURL(join(cwd, 'copy'))}?layout=hex`
    addRows(db, 5)
    const watcher = startCli(['watch', 'app.db', '--json', '-b', url], { cwd })
    await watcher.line((line) => /"event":"synced"|"event":"base"/.test(line))
    watcher.process.kill('SIGTERM')
    expect(await watcher.ended).toMatchObject({ code: 0 })
    await run('restore', 'app', '-o', 'newer.db', ...COPY)
    expect(rowsOf(join(cwd, 'newer.db'))).toEqual(rowsOf(join(cwd, 'app.db')))
    expect(existsSync(join(cwd, 'copy/app/ltx'))).toBe(false)
  })

  it('knows two layouts', async () => {
    const url = `${pathToFileURL(join(cwd, 'copy'))}?layout=flat`
    const { code, stderr } = await runCli(['list', '-b', url], { cwd })
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/"flat"/) })
  })
})
