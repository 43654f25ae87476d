import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HttpServer, serveHttp } from '../../../src/cli/monitor/http-server.ts'
import { Monitor } from '../../../src/cli/monitor/monitor.ts'
import type { FleetEvent } from '../../../src/cli/watch/fleet-event.ts'
import type { WatchSource } from '../../../src/cli/watch/watch-plan.ts'
import { StoreError } from '../../../src/core/store/index.ts'
import { FakeRun } from './fake-run.ts'

let run: FakeRun
let server: HttpServer

beforeEach(async () => {
  run = new FakeRun(1000)
  server = await serve(run)
})
afterEach(() => server.close())

const serve = (run: FakeRun, token?: string) =>
  serveHttp({ host: '127.0.0.1', port: 0, token }, new Monitor(run.asRun(), '1.2.3'))

const get = async (path: string, init?: RequestInit) => {
  const response = await fetch(`${server.url}${path}`, init)
  return { status: response.status, headers: response.headers, text: await response.text() }
}

describe('the HTTP interface', () => {
  it('says that the process is alive, and which databases keep it from being ready', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, text: 'ok\n' })
    const { status, text } = await get('/readyz')
    expect(status).toBe(503)
    const { ready, unready } = JSON.parse(text)
    expect({ ready, count: unready.length }).toEqual({ ready: false, count: 30 })
    expect(unready).toContainEqual({ name: 'tenant-0025', reason: 'there is no file yet' })
    await server.close()
    server = await serve(new FakeRun(10))
    expect(await get('/readyz')).toMatchObject({ status: 200 })
  })

  it('is not ready before the start is over, although no database is in trouble yet', async () => {
    await server.close()
    const where = { kind: 'path', path: '/srv/data/app.db' } as const
    const starting = new FakeRun(0, { sources: [{ where } as WatchSource] })
    starting.isStarted = false
    server = await serve(starting)
    const { status, text } = await get('/readyz')
    expect(status).toBe(503)
    const unready = [{ name: '/srv/data/app.db', reason: 'starting' }]
    expect(JSON.parse(text)).toEqual({ ready: false, unready })
    starting.isStarted = true
    expect((await get('/readyz')).status).toBe(200)
  })

  it('serves metrics of 1,000 databases in bounded time and memory', async () => {
    run.emit({ type: 'synced', database: 'app', txid: 5n as never, bytes: 4096, pages: 1, ms: 3 })
    run.emit({ type: 'store-error', database: 'app', during: 'upload', error: 'x', retryInMs: 1 })
    run.emit({ type: 'drill-failed', database: 'app', failures: ['no'] })
    for (let i = 0; i < 5; i++) await get('/metrics')
    const samples: number[] = []
    for (let i = 0; i < 9; i++) {
      const before = process.cpuUsage()
      await get('/metrics')
      const { user, system } = process.cpuUsage(before)
      samples.push((user + system) / 1000)
    }
    const cpuMs = samples.sort((a, b) => a - b)[4] as number
    const { text, headers } = await get('/metrics')
    expect(headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    for (const line of [
      'walsync_replication_lag_seconds{database="tenant-0042"} 61',
      'walsync_txid{database="app"} 1000',
      'walsync_databases{state="replicating"} 980',
      'walsync_databases_in_trouble 10',
      'walsync_max_replication_lag_seconds 61',
      'walsync_uploads_total{result="success"} 1',
      'walsync_uploads_total{result="failure"} 1',
      'walsync_uploaded_bytes_total 4096',
      'walsync_errors_total{work="upload"} 1',
      'walsync_store_requests_total{kind="put"} 1234',
      'walsync_build_info{version="1.2.3"} 1',
      'walsync_drills_total{result="failed"} 1',
      'walsync_last_drill_success{database="app"} 1',
      'walsync_last_drill_timestamp_seconds{database="app"} 1767268800',
      'walsync_last_drill_restore_seconds{database="app"} 1.5',
      'walsync_last_drill_state_age_seconds{database="app"} 0',
    ]) {
      expect(text.split('\n'), line).toContain(line)
    }
    expect(text.split('\n').length).toBeLessThan(6200)
    // CPU time of this process for the request and its reader: waiting for others does not count.
    expect(cpuMs).toBeLessThan(150)
  })

  it('counts only failed uploads as failed uploads, not every store error', async () => {
    const failed = (during: string, op: string, key: string) => {
      const error = new StoreError('Unavailable', 'away', { op, key })
      run.emit({ type: 'store-error', database: 'app', during, error, retryInMs: 1 } as FleetEvent)
    }
    const failures = async () =>
      /walsync_uploads_total\{result="failure"\} (\d+)/.exec((await get('/metrics')).text)?.[1]
    failed('replication', 'list', 'app/')
    failed('replication', 'put', 'app/epochs/0000000000000002.json')
    failed('upkeep', 'put', 'app/ltx/1/0000000000000001-0000000000000009.ltx')
    failed('verification', 'get', 'app/ltx/0/0000000000000001-0000000000000001.ltx')
    expect(await failures()).toBe('0')
    failed('replication', 'put', 'app/ltx/9/0000000000000001-0000000000000001.ltx')
    failed('upload', 'put', 'app/ltx/0/0000000000000002-0000000000000002.ltx')
    failed('snapshot', 'put', 'app/ltx/9/0000000000000001-0000000000000002.ltx')
    expect(await failures()).toBe('3')
    const { text } = await get('/metrics')
    expect(text).toContain('walsync_errors_total{work="replication"} 3')
  })

  it('has no more series for more databases', async () => {
    await server.close()
    server = await serve(new FakeRun(5000))
    const { text } = await get('/metrics')
    expect(text.split('\n').length).toBeLessThan(6200)
    expect(text).toContain('walsync_databases{state="replicating"} 4900')
    // Of those that lag most, each.
    expect(text).toContain('walsync_replication_lag_seconds{database="tenant-4942"} 61')
  })

  it('returns the status, and the states that a database can be restored to', async () => {
    const status = JSON.parse((await get('/api/status')).text)
    expect(status).toMatchObject({ version: 1, walsync: '1.2.3' })
    expect(status.databases).toHaveLength(1000)
    const { states } = JSON.parse((await get('/api/databases/app/states')).text)
    expect(states).toHaveLength(61)
    expect(states[0]).toMatchObject({ txid: '0000000000000001', bytes: 4_000_000, files: 1 })
    expect(states[60]).toMatchObject({ files: 61 })
    expect((await get('/api/databases/nope/states')).status).toBe(404)
    expect((await get('/nope')).status).toBe(404)
  })

  it('sends events as they happen', async () => {
    const response = await fetch(`${server.url}/api/events`)
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    await reader?.read()
    run.emit({ type: 'snapshot', database: 'app', txid: 5n as never, bytes: 1, pages: 1, ms: 3 })
    let text = ''
    while (!text.includes('\n\n')) text += (await reader?.read())?.value ?? ''
    const line = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '')
    expect(line).toMatchObject({ event: 'snapshot', database: 'app', txid: '0000000000000005' })
    await reader?.cancel()
  })

  it('is read-only', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) {
      expect((await get('/api/status', { method })).status).toBe(405)
    }
  })

  it('does not answer under a name that another site may have pointed here', async () => {
    const status = await new Promise((resolve, reject) => {
      const options = { headers: { host: 'evil.example' } }
      request(`${server.url}/api/status`, options, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(403)
  })

  it('requires the token if there is one, except for the probes of an orchestrator', async () => {
    await server.close()
    server = await serve(new FakeRun(10), '0123456789abcdef')
    for (const path of ['/', '/metrics', '/api/status', '/api/events', '/api/overview']) {
      const { status, headers } = await get(path)
      expect(status, path).toBe(401)
      expect(headers.get('www-authenticate')).toContain('Basic')
    }
    expect(await get('/healthz')).toMatchObject({ status: 200 })
    expect(await get('/readyz')).toMatchObject({ status: 200, text: '' })
    const headers = { authorization: 'Bearer 0123456789abcdef' }
    expect((await get('/metrics', { headers })).status).toBe(200)
  })

  it('counts a lag above the limit as not ready', async () => {
    await server.close()
    const lagging = new FakeRun(10, { maxLagMs: 4000 })
    Object.assign(lagging.fleet.status()[0]?.engine ?? {}, { lagMs: 5000 })
    server = await serve(lagging)
    expect(JSON.parse((await get('/readyz')).text)).toEqual({
      ready: false,
      unready: [{ name: 'app', reason: 'it lags by 5000 ms' }],
    })
  })
})
