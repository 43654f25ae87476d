import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { FaultDialect } from '../servers/fault-dialects.ts'

/** A proxy that changes nothing and counts what passes. */
export interface RequestLog {
  /** `http://127.0.0.1:port` */
  readonly url: string
  /** Requests by kind since `clear`; a request that the dialect does not know is `other`. */
  counts(): Readonly<Record<string, number>>
  total(): number
  /** The most requests of a kind that were under way at one time since `clear`. */
  mostAtOnce(kind: string): number
  clear(): void
  close(): Promise<void>
}

/**
 * @param getDelayMs added to each get, as a network would: on one machine answers come so fast that
 *   even parallel requests seldom overlap
 */
export async function startRequestLog(
  target: string,
  dialect: FaultDialect,
  getDelayMs = 0,
): Promise<RequestLog> {
  const counts = new Map<string, number>()
  const running = new Map<string, number>()
  const most = new Map<string, number>()
  const { hostname, port } = new URL(target)

  const server = createServer(async (incoming, outgoing) => {
    const kind = kindOf(incoming, dialect)
    const now = (running.get(kind) ?? 0) + 1
    running.set(kind, now)
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    most.set(kind, Math.max(most.get(kind) ?? 0, now))
    outgoing.once('close', () => running.set(kind, (running.get(kind) ?? 1) - 1))
    if (kind === 'get' && getDelayMs > 0) await delay(getDelayMs)
    const onward = request({
      host: hostname,
      port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.rawHeaders,
      agent: false,
    })
    onward.on('error', () => outgoing.destroy())
    onward.once('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(outgoing)
    })
    incoming.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts: () => Object.fromEntries(counts),
    total: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
    mostAtOnce: (kind) => most.get(kind) ?? 0,
    clear() {
      counts.clear()
      most.clear()
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function kindOf({ method = '', url = '/', headers }: IncomingMessage, dialect: FaultDialect) {
  return dialect.target({ method, url: new URL(url, 'http://proxy'), headers }) ?? 'other'
}
