import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HttpTransport, readText } from '../../../src/backends/shared/http-transport.ts'
import { responseBody } from '../../../src/backends/shared/response-body.ts'

const BIG = 1024 * 1024
let server: Server
let sockets: Set<Socket>
let url: URL
let transport: HttpTransport

beforeEach(async () => {
  sockets = new Set()
  server = createServer((incoming, outgoing) => {
    incoming.resume()
    if (incoming.url === '/silent') return
    const length = incoming.url === '/big' ? BIG : 5
    outgoing.writeHead(200, { 'content-length': length })
    outgoing.end(Buffer.alloc(length, 'x'))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  transport = new HttpTransport({ maxSockets: 2, timeoutMs: 30_000 })
})
afterEach(async () => {
  transport.destroy()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const get = (path: string, signal = new AbortController().signal, by = transport) =>
  by.send({ method: 'GET', url: new URL(path, url), headers: {}, signal })

describe('connections of a store', () => {
  it('are kept, and never more than allowed', async () => {
    const texts = await Promise.all(
      Array.from({ length: 20 }, async () => readText(await get('/'))),
    )
    expect(new Set(texts)).toEqual(new Set(['xxxxx']))
    expect(sockets.size).toBeLessThanOrEqual(2)
    expect(sockets.size).toBeGreaterThan(0)
  })

  it('an abort rejects with its reason and ends the connection', async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => abort.abort(reason), 50)
    await expect(get('/silent', abort.signal)).rejects.toBe(reason)
    await expect.poll(() => sockets.size).toBe(0)
  })

  it('silence is an error', async () => {
    const impatient = new HttpTransport({ maxSockets: 2, timeoutMs: 50 })
    const asked = get('/silent', undefined, impatient)
    await expect(asked).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    impatient.destroy()
  })

  it('close with the store', async () => {
    await readText(await get('/'))
    expect(sockets.size).toBe(1)
    transport.destroy()
    await expect.poll(() => sockets.size).toBe(0)
  })
})

describe('the body of an answer', () => {
  async function body(path: string, expected: number, signal = new AbortController().signal) {
    const stream = await get(path)
    return await responseBody({ stream, expected, signal, timeoutMs: 30_000 })
  }

  it('small ones give their connection back unread', async () => {
    for (let i = 0; i < 10; i++) await body('/', 5)
    expect(await readText(await get('/'))).toBe('xxxxx')
  })

  it('a big unread one releases its connection when its get is aborted', async () => {
    const abort = new AbortController()
    await body('/big', BIG, abort.signal)
    await body('/big', BIG, abort.signal)
    expect(sockets.size).toBe(2)
    abort.abort()
    await expect.poll(() => sockets.size).toBe(0)
  })

  it('is not read far past its end', async () => {
    const read = async (expected: number) => {
      const chunks = await body('/big', expected)
      if (chunks instanceof Uint8Array) return chunks.length
      let received = 0
      for await (const chunk of chunks) received += chunk.length
      return received
    }
    expect(await read(BIG)).toBe(BIG)
    const received = await read(BIG / 2)
    expect(received).toBeGreaterThan(BIG / 2)
    expect(received).toBeLessThan(BIG)
    await expect.poll(() => sockets.size).toBe(1)
  })
})
