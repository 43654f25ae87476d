import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { restoreIfMissing } from '../../src/api/index.ts'
import { installExample } from '../servers/example-packages.ts'
import { describeWithServers } from '../servers/server-path.ts'
import { killAfterWait, killsOf } from '../support/kill-after-wait.ts'
import { until } from '../support/until.ts'

const APPS = ['express-better-sqlite3', 'express-prisma', 'fastify-drizzle', 'hono-node-sqlite']
const KILLS = killsOf(10)

describeWithServers(['durable-orders'], 'the applications of examples/durable-orders', () => {
  let folder: string
  let project: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'walsync-orders-'))
    project = installExample('durable-orders', folder)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.concurrent.each(APPS)(
    '%s answers when an order is in the store, by the policy of the route',
    async (name) => {
      const replicas = join(folder, `${name} replicas`)
      const url = join(replicas, 'orders')
      const app = await OrdersApp.start(project, name, join(folder, `${name}.db`), url, 1000)
      try {
        expect(await app.post('/orders', 'tea')).toEqual([201, { id: 1 }])
        await restoreIfMissing(join(folder, `${name} copy.db`), url)
        await until(async () => (await app.post('/views', 'tea'))[0] === 201)

        renameSync(replicas, `${replicas} away`)
        writeFileSync(replicas, 'no folder')
        const refusal = { error: 'The order is not safe yet. Try again.' }
        expect(await app.post('/orders', 'cups')).toEqual([503, refusal])
        expect(await app.post('/views', 'cups')).toEqual([202, {}])
        expect((await app.post('/orders', undefined))[0]).toBe(500)

        rmSync(replicas)
        renameSync(`${replicas} away`, replicas)
        await until(async () => (await app.post('/orders', 'milk'))[0] === 201)
        expect(await app.stop()).toBe(0)
      } finally {
        await app.kill()
      }
    },
    120_000,
  )

  it('Express cuts off an answer that began before its commit was safe, and answers the next one', async () => {
    const load = async (path: string) => await import(pathToFileURL(join(project, path)).href)
    const { default: express } = await load('node_modules/express/index.js')
    const { durable } = await load('src/durable-express.js')
    const replica = { wait: () => Promise.reject(new Error('not in time')) }
    const app = express().set('env', 'test')
    app.get('/stream', durable(replica), (_: unknown, response: ServerResponse) => {
      response.write('begun')
      response.end('done')
    })
    app.get('/', (_: unknown, response: ServerResponse) => response.end('alive'))
    const server: Server = app.listen(0, '127.0.0.1')
    try {
      await once(server, 'listening')
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      await expect(fetch(`${url}/stream`).then((one) => one.text())).rejects.toThrow('terminated')
      expect(await (await fetch(url)).text()).toBe('alive')
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  it.concurrent.each(APPS)(
    `%s loses no order that it answered, after ${KILLS} kills`,
    async (name) => {
      const report = await killAfterWait({
        kills: KILLS,
        table: 'orders',
        async runUntilKilled(path, url, rows) {
          const app = await OrdersApp.start(project, name, path, url)
          const safe: number[] = []
          while (safe.length < rows) {
            const [status, { id }] = await app.post('/orders', `order ${safe.length}`)
            if (status === 201) safe.push(id)
          }
          // One more is on its way when the kill comes.
          void app.post('/orders', 'not answered').catch(() => {})
          await app.kill()
          return safe
        },
      })
      expect(report).toMatchObject({ missing: [], kills: KILLS, lostDisks: Math.floor(KILLS / 3) })
      expect(report.safe).toBeGreaterThanOrEqual(KILLS)
    },
    60_000 * KILLS,
  )
})

class OrdersApp {
  readonly #child: ChildProcess
  readonly #port: number
  #walsync = 0

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.#port = port
  }

  static async start(
    project: string,
    name: string,
    database: string,
    replica: string,
    waitMs = 30_000,
  ): Promise<OrdersApp> {
    const child = spawn(process.execPath, [join(project, 'src', `${name}.js`)], {
      env: {
        ...process.env,
        DATABASE: database,
        REPLICA: replica,
        PORT: '0',
        WAIT_MS: String(waitMs),
        NODE_ENV: 'production',
      },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /^listening on (\d+)$/.exec(line)?.[1]
      if (port === undefined) continue
      const app = new OrdersApp(child, Number(port))
      const { pid } = (await (await fetch(`${app.#url}/replication`)).json()) as { pid: number }
      app.#walsync = pid
      return app
    }
    throw new Error(`${name} ended before it listened`)
  }

  /** @returns status and body */
  // biome-ignore lint/suspicious/noExplicitAny: JSON
  async post(path: string, item: string | undefined): Promise<[number, any]> {
    const response = await fetch(this.#url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ item }),
    })
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    return [response.status, isJson ? await response.json() : await response.text()]
  }

  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM')
    const [code] = (await once(this.#child, 'exit')) as [number | null]
    return code
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    process.kill(this.#walsync, 'SIGKILL')
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  get #url(): string {
    return `http://127.0.0.1:${this.#port}`
  }
}
