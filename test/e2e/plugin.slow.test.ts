import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addRows, rowsOf, sampleDatabase } from '../cli/sample-database.ts'
import { runPluginSuite } from '../support/plugin-suite.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))
const PLUGIN = 'walsync-store-sqlite'

/** What the suite leaves out, and why that is right for this store. */
const SKIPS: Readonly<Record<string, string>> = {
  'needs no ifAbsent': 'it has create-only puts',
  'needs no ifMatch': 'it has compare-and-swap puts',
  'needs no deleteIfMatch': 'it has conditional deletes',
  'needs no flat namespace': 'a and a/b may both be objects',
  'needs faults': 'there is no wire on which to put any',
  'needs retry': 'the bare store does not retry',
  'needs refused credentials': 'there are none',
  'needs uploads in parts': 'there is no other kind of upload',
}

let folder: string
let project: string
let bin: string

/** The example beside an installed walsync: what `npm pack` would publish, unpacked. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'walsync-plugin-'))
  project = join(folder, 'project')
  const installed = join(project, 'node_modules', 'walsync')
  mkdirSync(installed, { recursive: true })
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  })
  const tarball = join(folder, stdout.trim().split('\n').at(-1)!)
  await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
  symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'))
  const plugin = join(project, 'node_modules', PLUGIN)
  cpSync(join(root, 'examples', 'plugin-sqlite-store'), plugin, { recursive: true })
  bin = join(installed, 'dist', 'cli', 'bin.js')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the example of a backend', () => {
  it('passes the published contract suite from its own package', async () => {
    const { passed, skips } = await runPluginSuite(join(project, 'node_modules', PLUGIN), folder)
    expect(passed).toBeGreaterThanOrEqual(120)
    expect(skips.filter((reason) => !(reason in SKIPS))).toEqual([])
  }, 300_000)

  it.each([
    ['by name', () => PLUGIN],
    ['by path', () => `./node_modules/${PLUGIN}/src/index.js`],
  ])('is loaded %s: watched into under writes, listed, restored, the same', async (_how, name) => {
    const work = mkdtempSync(join(folder, 'data-'))
    const db = sampleDatabase(join(work, 'app.db'), 20)
    const store = ['-b', `sqlite://${work}/objects.db`, '--plugin', name(), '-q']
    const watch = spawn(process.execPath, [bin, 'watch', `${work}/app.db`, ...store, '--json'], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise<number | null>((resolve) => watch.once('close', resolve))
    let events = ''
    watch.stdout.setEncoding('utf8').on('data', (text: string) => {
      events += text
    })
    try {
      await until(() => /"event":"base"/.test(events) && /"event":"store-probed"/.test(events))
      for (let i = 0; i < 50; i++) {
        addRows(db, 20)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    } finally {
      watch.kill('SIGTERM')
    }
    expect(await ended).toBe(0)
    expect(events).toContain('"event":"synced"')
    expect(/"event":"store-probed".*/.exec(events)?.[0]).not.toMatch(/failed|untried|skipped/)

    const cli = (...args: string[]) =>
      run(process.execPath, [bin, ...args, ...store], { cwd: project })
    const list = JSON.parse((await cli('list', '--json')).stdout) as { databases: unknown[] }
    expect(list.databases).toMatchObject([{ name: 'app', gaps: [] }])
    await cli('restore', 'app', '-o', join(work, 'back.db'))
    expect(rowsOf(join(work, 'back.db'))).toEqual(rowsOf(join(work, 'app.db')))
    expect(rowsOf(join(work, 'back.db'))).toHaveLength(1020)
    expect((await cli('doctor')).stdout).toMatch(/fit for use\n$/)
    db.close()
  })
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('nothing happened for a minute')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
