import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type Replica,
  type ReplicaEvent,
  type ReplicateOptions,
  ReplicationError,
  replicate,
  restoreIfMissing,
} from '../../src/api/index.ts'
import { runCli } from '../cli/run-cli.ts'
import { until } from '../support/until.ts'
import { killAppThatWaits } from './kill-app-that-waits.ts'

const APP = fileURLToPath(new URL('app-that-waits.ts', import.meta.url))
let folder: string
let path: string
let url: string
let db: DatabaseSync
let replica: Replica | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walsync library '))
  path = join(folder, 'app.db')
  url = join(folder, 'replica', 'app')
  db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = wal; CREATE TABLE t (n INTEGER PRIMARY KEY)')
})
afterEach(async () => {
  await replica?.stop().catch(() => {})
  replica = undefined
  if (db.isOpen) db.close()
  rmSync(folder, { recursive: true, force: true })
})

const insert = () => db.exec('INSERT INTO t DEFAULT VALUES')
const start = async (options: ReplicateOptions = {}) => {
  replica = await replicate(path, url, { logLevel: 'silent', ...options })
  return replica
}

async function restoredRows(): Promise<number> {
  const copy = join(folder, 'copy.db')
  for (const suffix of ['', '-wal', '-shm']) rmSync(copy + suffix, { force: true })
  expect(await restoreIfMissing(copy, url)).toBe('restored')
  const restored = new DatabaseSync(copy, { readOnly: true })
  const { n } = restored.prepare('SELECT count(*) AS n FROM t').get() as { n: number }
  restored.close()
  return n
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('replicate', () => {
  it('returns when it replicates; after wait and after sync the row can be restored', async () => {
    const { wait, sync } = await start().then((one) => ({
      wait: () => one.wait(),
      sync: () => one.sync(),
    }))
    insert()
    const first = await wait()
    expect(await restoredRows()).toBe(1)
    insert()
    const second = await sync()
    expect(await restoredRows()).toBe(2)
    expect(second.txid! > first.txid!).toBe(true)
    expect(replica!.status()).toMatchObject({ state: 'running', restarts: 0, txid: second.txid })
  })

  it('stores the replica where restore finds it by bucket and name', async () => {
    const { sync } = await start().then((one) => ({ sync: () => one.sync() }))
    insert()
    await sync()
    const output = join(folder, 'by name.db')
    const bucket = join(folder, 'replica')
    const { code } = await runCli(['restore', 'app', '-b', bucket, '-o', output])
    expect(code).toBe(0)
  })

  it('starts walsync again when it is killed; a wait over the kill still holds', async () => {
    const one = await start()
    const errors: ReplicationError[] = []
    one.on('error', (error) => errors.push(error))
    const before = one.status().pid!
    process.kill(before, 'SIGKILL')
    insert()
    await one.wait()
    expect(await restoredRows()).toBe(1)
    expect(errors.map(({ code }) => code)).toContain('Ended')
    expect(one.status().restarts).toBe(1)
    expect(one.status().pid).not.toBe(before)
  })

  it('ends walsync when the program is killed, and everything is uploaded', async () => {
    const app = spawn(process.execPath, [APP, path, url], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    app.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    await until(() => /safe 2\n/.test(output))
    const pid = Number(/pid (\d+)/.exec(output)![1])
    expect(isRunning(pid)).toBe(true)
    app.kill('SIGKILL')
    await once(app, 'exit')
    await until(() => !isRunning(pid))
    const { n } = db.prepare('SELECT count(*) AS n FROM t').get() as { n: number }
    expect(await restoredRows()).toBe(n)
  })

  it('ends with the program when that has nothing left to do, so a script need not stop it', async () => {
    const script = join(folder, 'script.mjs')
    const library = new URL('../../src/api/index.ts', import.meta.url).href
    writeFileSync(
      script,
      `import { replicate } from ${JSON.stringify(library)}
const replica = await replicate(...process.argv.slice(2), { logLevel: 'silent' })
console.log(replica.status().pid)`,
    )
    const program = spawn(process.execPath, [script, path, url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    program.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    const [code] = await once(program, 'close')
    expect(code).toBe(0)
    await until(() => !isRunning(Number(output)))
  })

  it('stop uploads the last commits and ends the process; later calls are refused', async () => {
    const one = await start({ syncInterval: '1h' })
    const { pid } = one.status()
    const events = one.events()
    insert()
    insert()
    await one.stop()
    await one.stop()
    expect(isRunning(pid!)).toBe(false)
    expect(await restoredRows()).toBe(2)
    expect(one.status()).toMatchObject({ state: 'stopped', pid: undefined })
    await expect(one.wait()).rejects.toMatchObject({ code: 'Stopped' })
    const seen: ReplicaEvent[] = []
    for await (const event of events) seen.push(event)
    expect(seen.map(({ event }) => event)).toContain('synced')
    expect(seen.every(({ time }) => !Number.isNaN(time.getTime()))).toBe(true)
  })

  it('refuses to wait while another process replicates the file, and replicates after that', async () => {
    const first = await start()
    const second = await replicate(path, url, { logLevel: 'silent' })
    try {
      insert()
      for (const asked of [second.wait(), second.sync()]) {
        await expect(asked).rejects.toMatchObject({ code: 'Standby' })
      }
      await first.wait()
      await first.stop()
      insert()
      await until(() =>
        second.wait().then(
          () => true,
          ({ code }: ReplicationError) => {
            expect(code).toBe('Standby')
            return false
          },
        ),
      )
      expect(await restoredRows()).toBe(2)
    } finally {
      await second.stop()
    }
  })

  it('ends a wait after its timeout, and when its signal aborts', async () => {
    const one = await start({ syncInterval: '1h', flags: ['--sync-burst', '1'] })
    insert()
    await one.sync()
    insert()
    await expect(one.wait({ timeoutMs: 50 })).rejects.toMatchObject({
      name: 'ReplicationError',
      code: 'Timeout',
    })
    const reason = new Error('the client has gone')
    await expect(one.wait({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const abort = new AbortController()
    const waiting = one.wait({ signal: abort.signal })
    abort.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })

  it('ends a wait after its timeout even if the walsync process is frozen, and a later one holds', async () => {
    const one = await start()
    insert()
    await one.sync()
    const pid = one.status().pid!
    process.kill(pid, 'SIGSTOP')
    try {
      insert()
      await expect(one.sync({ timeoutMs: 50 })).rejects.toMatchObject({
        code: 'Timeout',
        message: expect.stringMatching(/does not answer/),
      })
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await one.sync()
    expect(await restoredRows()).toBe(2)
  })

  it.each([
    ['an option', () => ({ shutdownTimeout: '1s' })],
    ['a configuration file', (config: string) => ({ flags: ['--config', config] })],
  ])(
    'kills a frozen process at stop after the time that %s gives, and does not report its last commits as stored',
    async (_, given) => {
      const config = join(folder, 'walsync.yml')
      writeFileSync(config, 'shutdown-timeout: 1s\n')
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        const one = await start(given(config))
        // Answered in turn: by then the process has said how long it may take.
        await one.wait()
        const pid = one.status().pid!
        process.kill(pid, 'SIGSTOP')
        insert()
        const stopped = one.stop().catch((error: unknown) => error)
        await vi.advanceTimersByTimeAsync(10_999)
        expect(isRunning(pid)).toBe(true)
        await vi.advanceTimersByTimeAsync(1)
        expect(await stopped).toMatchObject({
          code: 'Stopped',
          message: expect.stringMatching(/did not end within 11 s and was killed.* may not be/),
        })
        expect(isRunning(pid)).toBe(false)
        expect(one.status().state).toBe('stopped')
      } finally {
        vi.useRealTimers()
      }
      const next = await start()
      await next.stop()
      expect(await restoredRows()).toBe(1)
    },
  )

  it('does not take a process that was killed while it stopped for one that stored everything', async () => {
    const one = await start()
    process.kill(one.status().pid!, 'SIGSTOP')
    const stopped = one.stop().catch((error: unknown) => error)
    process.kill(one.status().pid!, 'SIGKILL')
    expect(await stopped).toMatchObject({
      code: 'Stopped',
      message: expect.stringMatching(/ended by SIGKILL/),
    })
  })

  it('refuses to start where it cannot replicate, and leaves no process behind', async () => {
    await expect(replicate(path, 's3://bucket')).rejects.toMatchObject({ code: 'Usage' })
    const wrong = replicate(path, url, { syncInterval: 'soon', logLevel: 'silent' })
    await expect(wrong).rejects.toMatchObject({ code: 'Usage', exitCode: 2 })
    db.exec('PRAGMA journal_mode = delete')
    await expect(start()).rejects.toMatchObject({ code: 'Database' })
    const nowhere = replicate(path, url, { node: join(folder, 'no-node') })
    await expect(nowhere).rejects.toMatchObject({ code: 'Failed' })
  })
})

describe('restoreIfMissing', () => {
  it('reports a missing replica, restores an existing one, and leaves an existing file alone', async () => {
    const other = join(folder, 'other.db')
    expect(await restoreIfMissing(other, url)).toBe('no-replica')
    const one = await start()
    insert()
    await one.stop()
    expect(await restoreIfMissing(other, join(folder, 'replica', 'another'))).toBe('no-replica')
    expect(await restoreIfMissing(other, url)).toBe('restored')
    writeFileSync(other, 'mine')
    expect(await restoreIfMissing(other, url)).toBe('present')
  })

  it('throws if the store refuses, so that no program starts with an empty database', async () => {
    const options = { endpoint: 'http://127.0.0.1:1', region: 'x', logLevel: 'silent' as const }
    const refused = restoreIfMissing(join(folder, 'x.db'), 's3://nowhere/app?layout=wrong', options)
    await expect(refused).rejects.toBeInstanceOf(ReplicationError)
  })
})

it('nothing that wait() called safe is missing after three kills', async () => {
  expect(await killAppThatWaits(3)).toMatchObject({ kills: 3, lostDisks: 1, missing: [] })
}, 120_000)
