import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../support/until.ts'
import { type CliResult, type RunningCli, scratchFolder, startCli } from '../run-cli.ts'
import { addRows, sampleDatabase } from '../sample-database.ts'
import { Listener, nobody } from './listener.ts'

const STUCK = fileURLToPath(new URL('../plugins/stuck-store.ts', import.meta.url))
const TOKEN = 'T0KEN-0123456789abcdef'
const SECRET = 'a secret of the signature'

const folder = scratchFolder()
let cwd: string
let db: DatabaseSync
let listener: Listener
let count = 0
const started: RunningCli[] = []
const logs = new Map<RunningCli, string>()

beforeEach(async () => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  db = sampleDatabase(join(cwd, 'app.db'), 10)
  listener = await Listener.start()
})
afterEach(async () => {
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
  db.close()
  await listener.stop()
})
afterAll(() => folder.remove())

async function watch(words: readonly string[], env: Record<string, string> = {}) {
  const cli = startCli(['watch', 'app.db', '--json', '--log-level', 'debug', ...words], {
    cwd,
    env,
  })
  started.push(cli)
  cli.process.stderr?.on('data', (text: string) => {
    logs.set(cli, (logs.get(cli) ?? '') + text)
  })
  await cli.line((line) => line.includes('"event":"base"'))
  return cli
}

/** Waits for a line of the log, or for a number of them. */
const logged = (cli: RunningCli, text: string, times = 1) =>
  until(() => (logs.get(cli) ?? '').split(text).length > times)

async function end(cli: RunningCli): Promise<CliResult & { log: string[] }> {
  cli.process.kill('SIGTERM')
  const result = await cli.ended
  for (const secret of [TOKEN, SECRET]) expect(result.stdout + result.stderr).not.toContain(secret)
  const log = result.stderr.split('\n').flatMap((line) => {
    const { level, msg } = line.startsWith('{') ? JSON.parse(line) : {}
    return level === undefined || level === 'debug' ? [] : [`${level} ${msg}`]
  })
  return { ...result, log }
}

/** Takes the store away, or brings it back. */
const storeAway = () => {
  renameSync(join(cwd, 'replica'), join(cwd, 'away'))
  writeFileSync(join(cwd, 'replica'), 'no folder')
  addRows(db, 1)
}
const storeBack = () => {
  rmSync(join(cwd, 'replica'))
  renameSync(join(cwd, 'away'), join(cwd, 'replica'))
}

describe('watch --heartbeat-url', () => {
  const heartbeat = (url: string) => [
    '-b',
    './replica',
    '--heartbeat-interval',
    '50ms',
    '--heartbeat-url',
    url,
  ]

  it('sends a GET after each interval in which all is well, and none while the store is away', async () => {
    const cli = await watch(heartbeat(listener.url(`/ping/${TOKEN}`)))
    await until(() => listener.received.length >= 3)
    expect(listener.received[0]).toMatchObject({ method: 'GET', path: `/ping/${TOKEN}`, body: '' })
    storeAway()
    await logged(cli, 'no heartbeats until')
    const before = listener.received.length
    await logged(cli, 'the store failed', 3)
    // One may have been on its way.
    expect(listener.received.length).toBeLessThanOrEqual(before + 1)
    storeBack()
    await until(() => listener.received.length >= before + 3)
    const { code, log } = await end(cli)
    expect(code).toBe(0)
    expect(log.filter((line) => line.includes('heartbeats'))).toEqual([
      expect.stringMatching(/^warn no heartbeats until every database is replicated: app: /),
      'info every database is replicated again, heartbeats continue',
    ])
  })

  it('logs once that the monitor answers 500, and once that it takes them again', async () => {
    listener.answer = 500
    const cli = await watch([], {
      WALSYNC_BUCKET: './replica',
      WALSYNC_HEARTBEAT_URL: listener.url(`/ping/${TOKEN}`),
      WALSYNC_HEARTBEAT_INTERVAL: '50ms',
    })
    await until(() => listener.received.length >= 4)
    listener.answer = 200
    const before = listener.received.length
    await until(() => listener.received.length >= before + 2)
    addRows(db, 1)
    await cli.line((line) => line.includes('"event":"synced"'))
    const { code, log } = await end(cli)
    expect(code).toBe(0)
    expect(log.filter((line) => line.includes('heartbeats'))).toEqual([
      'warn heartbeats do not arrive: it answered 500',
      'info heartbeats arrive again',
    ])
  })

  it('ends on SIGTERM without waiting for a monitor that hangs', async () => {
    listener.answer = 'hang'
    const cli = await watch(heartbeat(listener.url(`/ping/${TOKEN}`)))
    await until(() => listener.open.size > 0)
    addRows(db, 1)
    await cli.line((line) => line.includes('"event":"synced"'))
    expect(listener.open.size).toBe(1)
    const { code, log } = await end(cli)
    expect(code).toBe(0)
    expect(listener.received).toHaveLength(1)
    // It would say that the monitor did not answer in time.
    expect(log.filter((line) => line.includes('heartbeats'))).toEqual([])
  })

  it('logs once that nobody is there', async () => {
    const cli = await watch(heartbeat(await nobody(`/ping/${TOKEN}`)))
    await logged(cli, 'heartbeats still do not arrive', 2)
    const { code, log } = await end(cli)
    expect(code).toBe(0)
    expect(log.filter((line) => line.includes('heartbeats'))).toEqual([
      expect.stringMatching(/^warn heartbeats do not arrive: connect ECONNREFUSED/),
    ])
  })
})

describe('watch --webhook-url', () => {
  const notices = () => listener.received.map(({ body }) => JSON.parse(body))

  it('gets one message for an outage and one for its end', async () => {
    const url = listener.url(`/hook/${TOKEN}`)
    const cli = await watch(['-b', './replica'], {
      WALSYNC_WEBHOOK_URL: url,
      WALSYNC_WEBHOOK_SECRET: SECRET,
    })
    storeAway()
    await until(() => listener.received.length > 0)
    storeBack()
    await until(() => listener.received.length > 1)
    const [start, over] = notices()
    expect(start).toMatchObject({
      event: 'trouble-started',
      trouble: 'store-outage',
      databases: { count: 1, names: ['app'] },
      lostBefore: 0,
    })
    expect(over).toMatchObject({ event: 'trouble-ended', incident: start.incident })
    expect(listener.received[0]?.headers['webhook-signature']).toMatch(/^v1,[\w+/]{43}=$/)
    expect((await end(cli)).code).toBe(0)
    expect(listener.received).toHaveLength(2)
  })

  it('is told at the end what is not in the store', async () => {
    const words = [
      '--plugin',
      STUCK,
      '-b',
      `stuck://${join(cwd, 'replica').replaceAll(' ', '%20')}`,
    ]
    const cli = await watch([
      ...words,
      '--shutdown-timeout',
      '100ms',
      '--webhook-url',
      listener.url(`/hook/${TOKEN}`),
    ])
    await logged(cli, '"msg":"watching"')
    addRows(db, 1)
    expect((await end(cli)).code).toBe(4)
    expect(notices()).toMatchObject([
      {
        trouble: 'not-shipped',
        text: 'walsync has ended, and the last changes of app did not reach the store within 100 ms.',
      },
    ])
  })

  it('does not keep the end waiting for long when it hangs', async () => {
    listener.answer = 'hang'
    const cli = await watch(['-b', './replica', '--webhook-url', listener.url(`/hook/${TOKEN}`)])
    storeAway()
    await until(() => listener.open.size === 1)
    storeBack()
    const { code, log } = await end(cli)
    expect(code).toBe(0)
    expect(log.filter((line) => line.includes('webhook'))).toEqual([
      expect.stringMatching(/^error a webhook message was not sent: The store .* fails \(app\)/),
    ])
  })

  it('shows neither URL nor secret when the configuration is checked', async () => {
    const url = listener.url(`/hook/${TOKEN}`)
    const check = async (lines: string) => {
      writeFileSync(
        join(cwd, 'walsync.yml'),
        `bucket: ./replica\ndatabases: [{path: app.db}]\n${lines}\n`,
      )
      const { code, stdout, stderr } = await startCli(['config', 'check', '--json'], { cwd }).ended
      for (const secret of [TOKEN, SECRET, 'shrt']) expect(stdout + stderr).not.toContain(secret)
      return { code, stderr }
    }
    const good = `heartbeat-url: ${url}\nwebhook-url: ${url}\nwebhook-secret: ${SECRET}`
    expect(await check(good)).toMatchObject({ code: 0, stderr: '' })
    const { code, stderr } = await check(`heartbeat-url: file:///${TOKEN}\nwebhook-secret: shrt`)
    expect(code).toBe(2)
    expect(stderr).toContain('heartbeat-url is not a URL that starts with http')
    expect(stderr).toContain('webhook-secret is not a secret of at least 16 characters')
  })
})
