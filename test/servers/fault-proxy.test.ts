import { Agent, request } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { azureDialect, gcsDialect, type SeenRequest, s3Dialect } from './fault-dialects.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { type RecordingServer, startRecordingServer } from './recording-server.ts'

let service: RecordingServer
let proxy: FaultProxy
const agent = new Agent({ keepAlive: true })

beforeAll(async () => {
  service = await startRecordingServer(() => ({
    status: 200,
    headers: { 'content-length': '10' },
    body: '0123456789',
  }))
  proxy = await startFaultProxy(service.url, s3Dialect)
})
beforeEach(() => {
  proxy.faults.reset()
  proxy.random(undefined)
  service.requests.length = 0
})
afterAll(async () => {
  agent.destroy()
  await proxy.close()
  await service.close()
})

interface Outcome {
  readonly status?: number | undefined
  readonly body?: string | undefined
  readonly headers?: Readonly<Record<string, unknown>> | undefined
  readonly error?: string | undefined
}

function send(method: string, path: string, signal?: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const sent = request(new URL(path, proxy.url), { method, agent, signal }, async (answer) => {
      const chunks: Buffer[] = []
      try {
        for await (const chunk of answer) chunks.push(chunk)
      } catch (error) {
        resolve({ status: answer.statusCode, error: (error as NodeJS.ErrnoException).code })
        return
      }
      const body = Buffer.concat(chunks).toString()
      resolve({ status: answer.statusCode, body, headers: answer.headers })
    })
    sent.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ error: error.code ?? error.message }),
    )
    sent.end(method === 'PUT' ? 'body' : undefined)
  })
}

describe('the fault proxy', () => {
  it('passes requests on, with their own Host header, and counts them', async () => {
    expect(await send('PUT', '/bucket/key')).toMatchObject({ status: 200, body: '0123456789' })
    expect(service.requests[0]?.headers.host).toBe(new URL(proxy.url).host)
    expect(service.requests[0]?.body.toString()).toBe('body')
    await send('GET', '/bucket/key')
    expect(proxy.faults.requestCount()).toBe(2)
    expect(proxy.faults.requestCount('put')).toBe(1)
  })

  it('loses an answer after the service has acted', async () => {
    proxy.faults.dropResponse({ on: 'put' })
    expect(await send('PUT', '/bucket/key')).toEqual({ error: 'ECONNRESET' })
    expect(service.requests).toHaveLength(1)
    expect(await send('PUT', '/bucket/key')).toMatchObject({ status: 200 })
  })

  it('loses a request before the service sees it', async () => {
    proxy.faults.dropRequest()
    expect(await send('PUT', '/bucket/key')).toEqual({ error: 'ECONNRESET' })
    expect(service.requests).toHaveLength(0)
  })

  it('cuts a body, by a reset or cleanly', async () => {
    proxy.faults.cutBody(4)
    expect(await send('GET', '/bucket/key')).toMatchObject({ error: 'ECONNRESET' })
    proxy.faults.cutBody(4, { cleanly: true })
    expect(await send('GET', '/bucket/key')).toMatchObject({ status: 200, body: '0123' })
  })

  it('holds a request until it is reset, before or after the service has acted', async () => {
    for (const afterCommit of [false, true]) {
      service.requests.length = 0
      proxy.faults.stall({ afterCommit })
      const held = send('PUT', '/bucket/key')
      expect(await Promise.race([held, pause(500)])).toBe('pause')
      await expect.poll(() => service.requests).toHaveLength(afterCommit ? 1 : 0)
      proxy.faults.reset()
      expect(await held).toEqual({ error: 'ECONNRESET' })
    }
  })

  it('answers with the error of the service, as often and as late as configured', async () => {
    proxy.faults.answer(503, { on: 'get', skip: 1, times: 2, retryAfterMs: 1500 })
    const statuses = []
    for (let i = 0; i < 4; i++) statuses.push((await send('GET', '/bucket/key')).status)
    expect(statuses).toEqual([200, 503, 503, 200])
    proxy.faults.answer(409, { retryAfterMs: 1500 })
    const conflict = await send('PUT', '/bucket/key')
    expect(conflict.body).toContain('<Code>ConditionalRequestConflict</Code>')
    expect(conflict.headers?.['retry-after']).toBe('2')
    expect(service.requests).toHaveLength(2)
  })

  it('refuses one key only', async () => {
    proxy.faults.refuseDelete('b')
    expect((await send('DELETE', '/bucket/pre/b')).status).toBe(403)
    expect((await send('DELETE', '/bucket/pre/ab')).status).toBe(200)
  })

  it('lets a hook run before the service sees the request', async () => {
    let seen = -1
    proxy.faults.before(async () => {
      seen = service.requests.length
    })
    await send('PUT', '/bucket/key')
    expect(seen).toBe(0)
    expect(service.requests).toHaveLength(1)
  })

  it('at random hits about the share it was given, every kind, and counts each', async () => {
    proxy.random({ seed: 42, share: 0.5, slowMs: 1 })
    let failed = 0
    for (let i = 0; i < 120; i++) {
      const outcome = await sendUnlessHeld()
      if (outcome.body !== '0123456789') failed++
    }
    const counts = proxy.randomCounts()
    for (const [kind, count] of Object.entries(counts)) expect(count, kind).toBeGreaterThan(0)
    const dealt = Object.values(counts).reduce((sum, count) => sum + count, 0)
    expect(dealt).toBeGreaterThan(36)
    expect(dealt).toBeLessThan(84)
    expect(failed).toBe(dealt - counts.slow)
  })

  it('is away during an outage and back after it', async () => {
    proxy.outage(true)
    // The first may meet the reset of a connection that was open.
    for (let i = 0; i < 3; i++) {
      expect(await send('GET', '/bucket/key')).toHaveProperty('error')
    }
    expect(proxy.outageCount()).toBeGreaterThan(0)
    proxy.outage(false)
    expect(await send('GET', '/bucket/key')).toMatchObject({ status: 200 })
  })
})

describe('what the proxy takes a request for', () => {
  const seen = (line: string, headers = {}): SeenRequest => {
    const [method = '', path = ''] = line.split(' ')
    return { method, url: new URL(path, 'http://proxy'), headers }
  }

  it.each([
    ['PUT /b/k', 'put'],
    ['PUT /b/k?partNumber=1&uploadId=u', 'part'],
    ['POST /b/k?uploads', undefined],
    ['POST /b/k?uploadId=u', 'commit'],
    ['DELETE /b/k?uploadId=u', undefined],
    ['POST /b?delete', 'delete'],
    ['DELETE /b/k', 'delete'],
    ['GET /b/?list-type=2&prefix=x', 'list'],
    ['GET /b/k?x-id=GetObject', 'get'],
    ['HEAD /b/k', 'head'],
    ['HEAD /b', undefined],
  ])('S3: %s is %s', (line, target) => {
    expect(s3Dialect.target(seen(line))).toBe(target)
  })

  it.each([
    ['POST /upload/storage/v1/b/x/o?uploadType=multipart', {}, 'put'],
    ['POST /upload/storage/v1/b/x/o?uploadType=resumable', {}, undefined],
    ['PUT /upload/storage/v1/b/x/o?upload_id=u', { 'content-range': 'bytes 0-9/*' }, 'part'],
    ['PUT /upload/storage/v1/b/x/o?upload_id=u', { 'content-range': 'bytes 0-9/10' }, 'commit'],
    ['GET /storage/v1/b/x/o?prefix=p', {}, 'list'],
    ['GET /storage/v1/b/x/o/k', {}, 'head'],
    ['GET /x/k', {}, 'get'],
    ['DELETE /storage/v1/b/x/o/k', {}, 'delete'],
  ])('GCS: %s is %s', (line, headers, target) => {
    expect(gcsDialect.target(seen(line, headers))).toBe(target)
  })

  it.each([
    ['PUT /acc/box/k', 'put'],
    ['PUT /acc/box/k?comp=block&blockid=x', 'part'],
    ['PUT /acc/box/k?comp=blocklist', 'commit'],
    ['GET /acc/box?restype=container&comp=list', 'list'],
    ['GET /acc/box/k', 'get'],
    ['HEAD /acc/box/k', 'head'],
    ['HEAD /acc/box?restype=container', undefined],
    ['DELETE /acc/box/k', 'delete'],
  ])('Azure: %s is %s', (line, target) => {
    expect(azureDialect.target(seen(line))).toBe(target)
  })
})

/** A request that the proxy holds is given up as soon as it is held, so that a busy machine is not taken for one. */
async function sendUnlessHeld(): Promise<Outcome> {
  const before = proxy.randomCounts().hang
  const giveUp = new AbortController()
  const sent = send('GET', '/bucket/key', giveUp.signal)
  while ((await Promise.race([sent, pause(5)])) === 'pause') {
    if (proxy.randomCounts().hang > before) giveUp.abort()
  }
  return await sent
}

function pause(ms: number): Promise<'pause'> {
  return new Promise((resolve) => setTimeout(() => resolve('pause'), ms))
}
