import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { UsageError } from '../args/usage-error.ts'
import { jsonLine } from '../output/json-line.ts'
import { type HttpAccess, refusal } from './http-access.ts'
import type { Monitor } from './monitor.ts'
import { PAGE, PAGE_POLICY } from './page.ts'

export interface HttpServer {
  /** Where it listens. */
  readonly url: string
  close(): Promise<void>
}

/** Programs that follow events at the same time. */
const MAX_STREAMS = 64
/** What such a program may leave unread before it is cut off, in bytes. */
const MAX_UNREAD_BYTES = 4 << 20

/**
 * Serves the page, the health checks and the metrics. Read-only: nothing of it changes anything.
 *
 * @throws UsageError if the address cannot be listened on
 */
export async function serveHttp(access: HttpAccess, monitor: Monitor): Promise<HttpServer> {
  const streams = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  server.headersTimeout = 10_000
  server.requestTimeout = 30_000
  server.maxRequestsPerSocket = 10_000

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.setHeader('X-Content-Type-Options', 'nosniff')
    response.setHeader('Cache-Control', 'no-store')
    const refused = refusal(request, access)
    const path = (request.url ?? '/').replace(/\?.*$/, '')
    // What an orchestrator asks says nothing but yes or no, and it may have no token.
    const isProbe = path === '/healthz' || path === '/readyz'
    if (refused !== undefined && !(isProbe && access.token !== undefined)) {
      if (refused === 401) response.setHeader('WWW-Authenticate', 'Basic realm="walsync"')
      return send(
        response,
        refused,
        'text/plain',
        refused === 401 ? 'A token is needed.\n' : 'This host name is not answered.\n',
      )
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD')
      return send(response, 405, 'text/plain', 'This interface is read-only.\n')
    }
    const database = /^\/api\/databases\/([^/]+)\/states$/.exec(path)?.[1]
    if (database !== undefined) {
      const states = monitor.states(decoded(database))
      if (states === undefined) return send(response, 404, 'text/plain', 'No such database.\n')
      return send(response, 200, 'application/json', jsonLine(states))
    }
    switch (path) {
      case '/':
        response.setHeader('Content-Security-Policy', PAGE_POLICY)
        response.setHeader('Referrer-Policy', 'no-referrer')
        return send(response, 200, 'text/html; charset=utf-8', PAGE)
      case '/healthz':
        return send(response, 200, 'text/plain', 'ok\n')
      case '/readyz': {
        const unready = monitor.unready()
        const isShown = refused === undefined
        const reasons = isShown ? jsonLine({ ready: unready.length === 0, unready }) : ''
        return send(response, unready.length === 0 ? 200 : 503, 'application/json', reasons)
      }
      case '/metrics':
        return send(response, 200, monitor.metrics.contentType, await monitor.metrics.text())
      case '/api/status':
        return send(response, 200, 'application/json', jsonLine(monitor.status()))
      case '/api/overview':
        return send(response, 200, 'application/json', jsonLine(monitor.overview()))
      case '/api/events':
        return follow(response)
      default:
        return send(response, 404, 'text/plain', 'Not found.\n')
    }
  }

  const follow = (response: ServerResponse): void => {
    if (streams.size >= MAX_STREAMS) {
      send(response, 503, 'text/plain', 'Too many programs follow events.\n')
      return
    }
    streams.add(response)
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write(': walsync events\n\n')
    const stop = monitor.onEvent((line) => {
      response.write(`data: ${jsonLine(line)}\n`)
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy()
    })
    const beat = setInterval(() => response.write(':\n\n'), 30_000).unref()
    response.on('close', () => {
      streams.delete(response)
      clearInterval(beat)
      stop()
    })
  }

  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(access.port, access.host, resolve)
  try {
    await promise
  } catch (cause) {
    const { host, port } = access
    const message = `Cannot listen on ${host}:${port}: ${(cause as Error).message}.`
    throw new UsageError(message, 'Give --http another port, or 0 for a free one.', { cause })
  }
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : access.port
  const host = access.host.includes(':') ? `[${access.host}]` : access.host
  return {
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
        monitor.close()
      }),
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
