import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CONTROL_ERROR_CODES, METHODS } from '../../src/cli/control/protocol.ts'
import { type RunningCli, runCli, scratchFolder, startCli } from './run-cli.ts'
import { addRows, sampleDatabase } from './sample-database.ts'

const folder = scratchFolder()
let cwd: string
let env: Record<string, string>
let db: DatabaseSync
let count = 0
const started: RunningCli[] = []
const runFolders: string[] = []
const clients: Client[] = []

beforeEach(() => {
  cwd = join(folder.path, String(++count))
  mkdirSync(cwd)
  // Short: the path of a socket has at most 107 bytes.
  const run = join(mkdtempSync(join(tmpdir(), 'ws-')), 'run')
  runFolders.push(run)
  env = { WALSYNC_RUN_DIR: run }
  db = sampleDatabase(join(cwd, 'app.db'), 10)
})
afterEach(() => {
  for (const client of clients.splice(0)) client.socket.destroy()
  for (const { process: child } of started.splice(0)) child.kill('SIGKILL')
  if (db.isOpen) db.close()
})
afterAll(() => {
  folder.remove()
  for (const run of runFolders) rmSync(join(run, '..'), { recursive: true })
})

async function watch(...words: string[]): Promise<RunningCli> {
  const cli = startCli(['watch', 'app.db', '--json', ...words], { cwd, env })
  started.push(cli)
  await cli.line((line) => line.includes('"event":"base"'))
  return cli
}

const sync = (...words: string[]) => runCli(['sync', ...words], { cwd, env })
const rows = (db: DatabaseSync) => Number(db.prepare('SELECT count(*) AS n FROM t').get()?.n)

interface Answer {
  readonly result: { readonly databases: readonly { readonly txid: string }[] }
  readonly event: object
}

/** A client as a program in any language would be. */
class Client {
  readonly socket: Socket
  readonly #lines: object[] = []
  #wake: () => void = () => undefined
  #text = ''
  isClosed = false

  constructor(cli: RunningCli) {
    this.socket = connect(join(env.WALSYNC_RUN_DIR ?? '', `${cli.process.pid}.sock`))
    clients.push(this)
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      const parts = (this.#text + text).split('\n')
      this.#text = parts.pop() ?? ''
      this.#lines.push(...parts.map((line) => JSON.parse(line) as object))
      this.#wake()
    })
    this.socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  send(request: object | string): void {
    const line = typeof request === 'string' ? request : JSON.stringify({ v: 1, ...request })
    this.socket.write(`${line}\n`)
  }

  /** The next line that has all of these fields. */
  async line(expected: Record<string, unknown>): Promise<Answer> {
    for (;;) {
      const at = this.#lines.findIndex((line) =>
        Object.entries(expected).every(
          ([key, value]) => (line as Record<string, unknown>)[key] === value,
        ),
      )
      if (at !== -1) return this.#lines.splice(at, 1)[0] as Answer
      if (this.isClosed) throw new Error('the watcher has closed the connection')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

describe('walsync sync', () => {
  it('ships what was just committed, and prints the TXID, for people and as JSON', async () => {
    await watch('-b', './replica', '--sync-interval', '1h')
    addRows(db, 1)
    const first = await sync('app')
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/^app: all is in the store, TXID [23]\n$/)
    addRows(db, 1)
    const json = await sync('app', '--json')
    expect(json.code).toBe(0)
    const { databases } = JSON.parse(json.stdout)
    expect(databases).toEqual([
      {
        name: 'app',
        replica: expect.stringMatching(/^file:.*replica\/app$/),
        txid: expect.any(String),
      },
    ])
    const restored = join(cwd, 'restored.db')
    const restore = await runCli(['restore', 'app', '-b', './replica', '-o', restored], { cwd })
    expect(restore.code).toBe(0)
    const copy = new DatabaseSync(restored)
    expect(rows(copy)).toBe(rows(db))
    copy.close()
  })

  it('fails with 7 when the upload is not due within the timeout, and 4 when the store fails', async () => {
    const cli = await watch('-b', './replica', '--sync-interval', '1h', '--sync-burst', '1')
    addRows(db, 1)
    expect((await sync('app')).code).toBe(0)
    addRows(db, 1)
    const late = await sync('app', '--wait', '--timeout', '300ms')
    expect(late).toMatchObject({ code: 7, stdout: '' })
    expect(late.stderr).toMatch(
      /^error: The last commits of app did not reach the store within 300 ms/,
    )
    rmSync(join(cwd, 'replica'), { recursive: true })
    writeFileSync(join(cwd, 'replica'), 'no folder')
    const failing = sync('app', '--timeout', '3s')
    await cli.line((line) => line.includes('"event":"store-error"'))
    expect(await failing).toMatchObject({ code: 4 })
  })

  it('says that no watcher answers, or that none replicates the database', async () => {
    expect(await sync('app')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('No watcher answers'),
    })
    await watch('-b', './replica')
    const unknown = await sync('nope', '--json')
    expect(unknown.code).toBe(1)
    expect(JSON.parse(unknown.stdout).error).toMatchObject({
      code: 'UnknownDatabase',
      message: 'No watcher replicates nope.',
    })
    expect((await sync()).stdout).toMatch(/^app: all is in the store/)
  })
})

describe('the control protocol', () => {
  it('answers several requests on one connection, each under its id', async () => {
    const client = new Client(await watch('-b', './replica'))
    addRows(db, 1)
    client.send({ id: 'w', method: 'wait', params: { databases: ['app'], timeoutMs: 20_000 } })
    client.send({ id: 2, method: 'status' })
    client.send({ id: 3, method: 'sync' })
    const [waited, status, synced] = [
      await client.line({ id: 'w' }),
      await client.line({ id: 2 }),
      await client.line({ id: 3 }),
    ]
    expect(status.result).toMatchObject({ version: 1, databases: [{ name: 'app' }] })
    expect(waited).toMatchObject({ v: 1, result: { databases: [{ name: 'app' }] } })
    expect(synced.result.databases[0]!.txid >= waited.result.databases[0]!.txid).toBe(true)
  })

  it('sends events to a subscriber until it cancels', async () => {
    const client = new Client(await watch('-b', './replica'))
    client.send({ id: 1, method: 'subscribe', params: { databases: ['app'], events: ['synced'] } })
    expect(await client.line({ id: 1 })).toEqual({ v: 1, id: 1, result: {} })
    addRows(db, 1)
    expect((await client.line({ id: 1 })).event).toMatchObject({ event: 'synced', database: 'app' })
    client.send({ id: 2, method: 'cancel', params: { id: 1 } })
    expect((await client.line({ id: 2 })).result).toEqual({ cancelled: true })
    client.send({ id: 1, method: 'wait' })
    expect((await client.line({ id: 1 })).result.databases).toHaveLength(1)
  })

  it('names what is wrong with a request, and answers the next', async () => {
    const client = new Client(await watch('-b', './replica'))
    const wrong = [
      ['hello', null, 'BadRequest'],
      ['{"v":1,"method":"status"}', null, 'BadRequest'],
      ['{"v":2,"id":7,"method":"status"}', 7, 'UnsupportedVersion'],
      ['{"id":7,"method":"status"}', 7, 'UnsupportedVersion'],
      ['{"v":1,"id":7,"method":"destroy"}', 7, 'UnknownMethod'],
      ['{"v":1,"id":7,"method":"wait","params":{"db":"x"}}', 7, 'BadRequest'],
      ['{"v":1,"id":7,"method":"wait","params":{"databases":["x"]}}', 7, 'UnknownDatabase'],
    ] as const
    for (const [line, id, code] of wrong) {
      client.send(line)
      expect(await client.line({ id }), line).toMatchObject({ v: 1, error: { code } })
    }
    client.send({ id: 8, method: 'status' })
    expect(await client.line({ id: 8 })).toHaveProperty('result')
  })

  it('closes a connection whose line does not end', async () => {
    const client = new Client(await watch('-b', './replica'))
    client.socket.write('x'.repeat(70_000))
    expect(await client.line({ id: null })).toMatchObject({ error: { code: 'LineTooLong' } })
    await expect(client.line({ id: 1 })).rejects.toThrow('has closed')
  })

  it('answers those who wait when the watcher ends, after its final sync', async () => {
    const cli = await watch('-b', './replica', '--sync-interval', '1h', '--sync-burst', '1')
    const client = new Client(cli)
    addRows(db, 1)
    client.send({ id: 'first', method: 'sync' })
    await client.line({ id: 'first' })
    addRows(db, 1)
    client.send({ id: 'last', method: 'wait' })
    client.send({ id: 'now', method: 'status' })
    await client.line({ id: 'now' })
    cli.process.kill('SIGTERM')
    expect(await client.line({ id: 'last' })).toHaveProperty('result')
    expect((await cli.ended).code).toBe(0)
  })

  it('is described for other languages, with each method, error and limit', () => {
    const page = readFileSync(
      new URL('../../docs/reference/control-protocol.md', import.meta.url),
      'utf8',
    )
    for (const word of [...METHODS, ...CONTROL_ERROR_CODES]) expect(page).toContain(`\`${word}\``)
  })
})
