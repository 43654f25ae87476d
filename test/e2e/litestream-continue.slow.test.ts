import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWithServers, requireServer } from '../servers/server-path.ts'
import { E2eFolder, type FoundDatabase, read } from '../support/e2e-folder.ts'
import { Watcher } from '../support/e2e-watcher.ts'

const execute = promisify(execFile)

describeWithServers(['litestream'], 'walsync goes on where Litestream stopped', () => {
  let folder: E2eFolder
  let config: string
  let source: FoundDatabase
  let events: readonly { readonly event: string; readonly txid?: string | undefined }[]
  let rowsBefore: number
  let itsFiles: readonly string[]

  const replica = (): string => join(folder.path, 'the replica')
  const levelZero = (): string[] => readdirSync(join(replica(), 'app', 'ltx', '0')).sort()
  const env = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH ?? '', HOME: folder.path })

  beforeAll(async () => {
    folder = new E2eFolder()
    folder.create('app')
    const cwd = folder.path
    const path = join(cwd, 'app.db')
    config = join(cwd, 'litestream.yml')
    const itsReplica = { type: 'file', path: join(replica(), 'app') }
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ dbs: [{ path, replica: itsReplica }] }))

    const args = ['replicate', '-config', config]
    const child = spawn(requireServer('litestream'), args, { cwd, env: env(), stdio: 'ignore' })
    folder.startWriter('app', 100)
    await folder.grown('app', 300)
    const gone = once(child, 'exit')
    child.kill('SIGTERM')
    await gone
    rowsBefore = folder.rows('app')
    itsFiles = levelZero()

    const words = ['app.db', '-b', './the replica', '--sync-interval', '200ms']
    const watcher = new Watcher(words, { cwd })
    try {
      await watcher.started(['app'])
      // From here on: on a busy machine the start alone may take as long as 200 rows.
      await folder.grown('app', folder.rows('app') + 200)
      await folder.stopWriter('app')
      expect(await watcher.stop()).toMatchObject({ code: 0 })
    } finally {
      await watcher.dispose()
    }
    events = watcher.events
    source = folder.source('app')
  })

  afterAll(() => folder?.dispose())

  it('with a full copy as the next TXID, so that nothing has to be assumed of its last state', () => {
    const last = BigInt(`0x${itsFiles.at(-1)?.slice(17, 33)}`)
    const base = events.find(({ event }) => event === 'base')
    expect(BigInt(`0x${base?.txid}`)).toBe(last + 1n)
    expect(events.filter(({ event }) => event === 'synced').length).toBeGreaterThan(1)
    expect(levelZero().slice(0, itsFiles.length)).toEqual(itsFiles)
  })

  it('walsync restores the source, row by row', async () => {
    const latest = await folder.restore('app', ['-b', './the replica'], {})
    expect(latest.problems).toEqual([])
    expect(latest.rows).toBe(source.rows)
    expect(latest.rows).toBeGreaterThan(rowsBefore)
    expect(latest.all === source.all).toBe(true)
  })

  it('Litestream restores the same', async () => {
    const output = join(folder.path, 'by litestream.db')
    const args = ['restore', '-config', config, '-o', output, join(folder.path, 'app.db')]
    await execute(requireServer('litestream'), args, { cwd: folder.path, env: env() })
    const latest = read(output)
    expect(latest.problems).toEqual([])
    expect(latest.all === source.all).toBe(true)
  })
})
