import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { addRows, rowsOf, sampleDatabase } from '../cli/sample-database.ts'
import { installExample } from '../servers/example-packages.ts'
import { describeWithServers } from '../servers/server-path.ts'
import { BUILT_CLI } from '../support/built-cli.ts'
import { runPluginSuite } from '../support/plugin-suite.ts'
import { until } from '../support/until.ts'

const PLUGIN = 'walsync-store-sftp'

/** What the suite leaves out, and why that is right for this store. */
const SKIPS: Readonly<Record<string, string>> = {
  'needs no ifAbsent': 'it has create-only puts',
  'needs ifMatch': 'SFTP compares and swaps nothing',
  'needs deleteIfMatch': 'SFTP compares nothing',
  'needs flat namespace': 'a and a/b cannot both be files',
  'needs faults': 'the server is real, and nothing stands in front of it',
  'needs retry': 'the bare store does not retry',
  'needs uploads in parts': 'there is no other kind of upload',
}

interface Sshd {
  readonly url: string
  readonly env: Record<string, string>
  stop(): void
}

describeWithServers(['sftp-store', 'sshd'], 'the SFTP store, with a real OpenSSH server', () => {
  let folder: string
  let plugin: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'walsync-sftp-'))
    plugin = installExample('sftp-store', folder)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('passes the contract suite, fencing included', async () => {
    const { passed, skips } = await runPluginSuite(plugin, folder)
    expect(passed).toBeGreaterThanOrEqual(100)
    expect([...new Set(skips)].filter((reason) => !(reason in SKIPS))).toEqual([])
  }, 600_000)

  it('survives the loss of its connection', async () => {
    const args = ['--test', '--test-reporter=tap', 'test/connection.test.js']
    const env = { PATH: process.env.PATH ?? '', HOME: folder }
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: plugin, env })
    expect(stdout).toMatch(/^# pass [1-9]/m)
    expect(stdout).toMatch(/^# fail 0$/m)
    expect(stdout).toMatch(/^# skipped 0$/m)
  }, 120_000)

  it('is loaded by name: two watchers fence each other, and the replica is restored', async () => {
    const project = join(folder, 'project')
    mkdirSync(join(project, 'node_modules'), { recursive: true })
    symlinkSync(plugin, join(project, 'node_modules', PLUGIN))
    const keys = join(folder, 'keys')
    mkdirSync(keys)
    const backups = join(folder, 'backups')
    mkdirSync(backups)
    const { startSshd } = await import(pathToFileURL(join(plugin, 'test/sshd.js')).href)
    const server: Sshd = await startSshd(keys)
    const options = { cwd: project, env: { ...process.env, ...server.env } }
    const store = ['-b', server.url + backups, '--plugin', PLUGIN, '-q']
    const walsync = async (...args: string[]) =>
      await promisify(execFile)(process.execPath, [BUILT_CLI, ...args, ...store], options)
    const db = sampleDatabase(join(folder, 'app.db'), 20)
    const copy = sampleDatabase(join(folder, 'copy.db'), 20)
    const watch = (name: string) => {
      const args = ['watch', join(folder, `${name}.db`), '--name', 'app', '--json', ...store]
      const child = spawn(process.execPath, [BUILT_CLI, ...args], {
        ...options,
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
      const watcher = { child, ended, events: '' }
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        watcher.events += text
      })
      return watcher
    }
    const first = watch('copy')
    let second: typeof first | undefined
    try {
      await until(() => first.events.includes('"event":"base"'), 60_000)
      second = watch('app')
      await until(() => second!.events.includes('"event":"took-over"'), 60_000)
      addRows(copy, 1)
      // The older writer meets the newer one's file.
      expect(await first.ended).toBe(75)

      addRows(db, 100)
      second.child.kill('SIGTERM')
      expect(await second.ended).toBe(0)
      await walsync('restore', 'app', '-o', join(folder, 'back.db'))
      expect(rowsOf(join(folder, 'back.db'))).toEqual(rowsOf(join(folder, 'app.db')))
      expect((await walsync('doctor')).stdout).toMatch(/fit for use|suitable/)
    } finally {
      for (const watcher of [first, second]) watcher?.child.kill('SIGKILL')
      server.stop()
      db.close()
      copy.close()
    }
  }, 240_000)
})
