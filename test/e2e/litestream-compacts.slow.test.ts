import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { FileObjectStore } from '../../src/backends/file/index.ts'
import { ReplicaClient } from '../../src/core/replica/replica-client.ts'
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
  const walsync = () => folder.restore('app', REPLICA, {})
  /** Ships what a writer commits meanwhile. */
  const watched = async (...flags: string[]): Promise<Watcher> => {
    const words = ['app.db', ...REPLICA, '--sync-interval', '200ms', ...flags]
    const watcher = new Watcher(words, { cwd: folder.path })
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

  /** Waits, too, until Litestream has shipped what was committed last, which it does at its next look. */
  const stopWriter = async (): Promise<void> => {
    await folder.stopWriter('app')
    let before = -1n
    await until('the last file', () => {
      const now = level(0).at(-1)!.last
      const same = now === before
      before = now
      return same
    })
    await delay(1000)
  }
  /** Runs Litestream with these levels while `work` goes on. */
  const replicating = async (
    replica: object,
    levels: readonly object[],
    work: () => Promise<void>,
  ): Promise<void> => {
    const dbs = [{ path: join(folder.path, 'app.db'), replica }]
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ levels, dbs }))
    const child = spawn(requireServer('litestream'), ['replicate', '-config', config], {
      cwd: folder.path,
      env: env(),
      stdio: 'ignore',
    })
    try {
      await work()
    } finally {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
  }

  beforeAll(async () => {
    folder = new E2eFolder()
    folder.create('app')
    await watched('--levels', 'none')
    ours = level(0).at(-1)!.last

    config = join(folder.path, 'litestream.yml')
    const itsReplica = {
      type: 'file',
      path: join(folder.path, 'the replica', 'app'),
      'sync-interval': '200ms',
    }
    // When Litestream starts, it may merge our files alone. A level that is added later merges what
    // the level below has of both.
    const below = [{ interval: '1s' }]
    await replicating(itsReplica, below, async () => {
      // It must have the log in its hold before the application may restart it, or it loses commits: decision 12.
      await until('the first file of Litestream', () => level(0).at(-1)!.last > ours)
      folder.startWriter('app', 100)
      await until('three merged files', () => level(1).length > 2)
      await stopWriter()
    })
    await replicating(itsReplica, [...below, { interval: '2s' }], async () => {
      await until('a file merged twice', () => level(2).length > 0)
      folder.startWriter('app', 100)
      await until('files merged twice', () => {
        merged = level(2)
        return merged.length > 1
      })
      await stopWriter()
    })
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
    await runJson(['compact', 'app', ...REPLICA, '--levels', '1s'], { cwd: folder.path })
    expect(level(1).some(({ first, last: end }) => first > ours && end > last)).toBe(true)
    afterUs = folder.source('app')
    expect(afterUs.rows).toBeGreaterThan(afterLitestream.rows)
    for (const latest of [await walsync(), await litestream()]) {
      expect(latest.problems).toEqual([])
      expect(latest.all === afterUs.all).toBe(true)
    }
    const verified = await runJson<{ verdict: string }>(['verify', 'app', ...REPLICA], {
      cwd: folder.path,
    })
    expect(verified.verdict).toBe('good')
  })
})
