import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { FileObjectStore } from '../../src/backends/file/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
import { BIN } from '../cli/run-cli.ts'
import { describeWithServers, requireServer } from '../servers/server-path.ts'
import { runJson } from '../support/e2e-cli.ts'
import { E2eFolder, type FoundDatabase, read } from '../support/e2e-folder.ts'
import { Watcher } from '../support/e2e-watcher.ts'

const execute = promisify(execFile)
const REPLICA = ['-b', './the replica']

/** First and last TXID of a file, by its name. */
interface Range {
  readonly first: bigint
  readonly last: bigint
}

describeWithServers(['litestream'], 'Litestream goes on where walsync stopped', () => {
  let folder: E2eFolder
  let config: string
  /** The newest TXID that walsync wrote. */
  let ours: bigint
  let merged: readonly Range[]
  let afterLitestream: FoundDatabase
  let afterUs: FoundDatabase
  let restoredByUs: FoundDatabase
  let restoredByLitestream: FoundDatabase
  let restores = 0

  const level = (n: number): Range[] => {
    const path = join(folder.path, 'the replica', 'app', 'ltx', String(n))
    if (!existsSync(path)) return []
    const txid = (digits: string) => BigInt(`0x${digits}`)
    return readdirSync(path)
      .filter((name) => name.endsWith('.ltx'))
      .sort()
      .map((name) => ({ first: txid(name.slice(0, 16)), last: txid(name.slice(17, 33)) }))
  }
  const env = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH ?? '', HOME: folder.path })
  const litestream = async (): Promise<FoundDatabase> => {
    const output = join(folder.path, `by litestream ${++restores}.db`)
    const args = ['restore', '-config', config, '-o', output, join(folder.path, 'app.db')]
    await execute(requireServer('litestream'), args, { cwd: folder.path, env: env() })
    return read(output)
  }
  const walsync = () => folder.restore('app', REPLICA, { bin: BIN })
  /** Ships what a writer commits meanwhile. */
  const watched = async (...flags: string[]): Promise<Watcher> => {
    const words = ['app.db', ...REPLICA, '--sync-interval', '200ms', ...flags]
    const watcher = new Watcher(words, { cwd: folder.path, bin: BIN })
    try {
      await watcher.started(['app'])
      folder.startWriter('app', 100)
      await folder.grown('app', folder.rows('app') + 200)
      await folder.stopWriter('app')
      expect(await watcher.stop()).toMatchObject({ code: 0 })
      return watcher
    } finally {
      await watcher.dispose()
    }
  }
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const deadline = performance.now() + 30_000
    while (!holds()) {
      if (performance.now() > deadline) throw new Error(`${what}: not within 30 s`)
      await delay(100)
    }
  }

  beforeAll(async () => {
    folder = new E2eFolder()
    folder.create('app')
    await watched('--levels', 'none')
    ours = level(0).at(-1)!.last

    config = join(folder.path, 'litestream.yml')
    const path = join(folder.path, 'app.db')
    const itsReplica = {
      type: 'file',
      path: join(folder.path, 'the replica', 'app'),
      'sync-interval': '200ms',
    }
    const levels = [{ interval: '1s' }, { interval: '2s' }]
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ levels, dbs: [{ path, replica: itsReplica }] }))
    const child: ChildProcess = spawn(
      requireServer('litestream'),
      ['replicate', '-config', config],
      { cwd: folder.path, env: env(), stdio: 'ignore' },
    )
    try {
      // It must have the log in its hold before the application may restart it, or it loses commits: decision 12.
      await until('the first file of Litestream', () => level(0).at(-1)!.last > ours)
      folder.startWriter('app', 100)
      await until('files of both, merged twice', () => {
        merged = level(2)
        return merged.length > 1
      })
      await folder.stopWriter('app')
      // What was committed last is shipped at its next look.
      let before = -1n
      await until('the last file', () => {
        const now = level(0).at(-1)!.last
        const same = now === before
        before = now
        return same
      })
      await delay(1000)
    } finally {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
    afterLitestream = folder.source('app')
    restoredByUs = await walsync()
    restoredByLitestream = await litestream()
  })

  afterAll(() => folder?.dispose())

  it('its input were files with checksums', async () => {
    const store = new FileObjectStore({ root: join(folder.path, 'the replica', 'app') })
    const client = new ReplicaClient(store, 'ltx')
    const files = (await client.list()).filter(
      ({ level, maxTxid }) => level === 0 && maxTxid <= ours,
    )
    expect(files.length).toBeGreaterThan(3)
    for (const file of files) {
      expect((await client.readChecksums(file))?.after, file.key).toBeDefined()
    }
  })

  it('it numbers on, and merges files of both into one', () => {
    expect(level(0).at(-1)!.last).toBeGreaterThan(ours)
    expect(merged.some(({ first, last }) => first < ours && last > ours)).toBe(true)
  })

  it('both restore the source from that, row by row', () => {
    for (const latest of [restoredByUs, restoredByLitestream]) {
      expect(latest.problems).toEqual([])
      expect(latest.all === afterLitestream.all).toBe(true)
    }
  })

  it('walsync continues and merges the result, and both restore that', async () => {
    const last = level(0).at(-1)!.last
    const { events } = await watched('--levels', '1s')
    const base = events.find(({ event }) => event === 'base')
    expect(BigInt(`0x${base?.txid}`)).toBe(last + 1n)
    await runJson(['compact', 'app', ...REPLICA, '--levels', '1s'], { cwd: folder.path, bin: BIN })
    expect(level(1).some(({ first, last: end }) => first > ours && end > last)).toBe(true)
    afterUs = folder.source('app')
    expect(afterUs.rows).toBeGreaterThan(afterLitestream.rows)
    for (const latest of [await walsync(), await litestream()]) {
      expect(latest.problems).toEqual([])
      expect(latest.all === afterUs.all).toBe(true)
    }
    const verified = await runJson<{ verdict: string }>(['verify', 'app', ...REPLICA], {
      cwd: folder.path,
      bin: BIN,
    })
    expect(verified.verdict).toBe('good')
  })
})
