import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultControl } from '../../src/testing/faults.ts'
import type { FaultDialect, SeenRequest } from './fault-dialects.ts'
import { type RandomFaultKind, type RandomFaultOptions, RandomFaults } from './random-faults.ts'
import { type Fault, ScriptedFaults } from './scripted-faults.ts'

export interface FaultProxy {
  /** `http://127.0.0.1:port`; requests go on to the target with their own Host header. */
  readonly url: string
  /** Faults one by one, for the contract suite. */
  readonly faults: FaultControl
  /** Faults at random from now on; `undefined` ends them. */
  random(options: RandomFaultOptions | undefined): void
  /** Random faults so far, by kind. */
  randomCounts(): Readonly<Record<RandomFaultKind, number>>
  /** While true, every connection is reset at once. */
  outage(down: boolean): void
  /** Connections that the outages refused. */
  outageCount(): number
  close(): Promise<void>
}

/** What the proxy cannot do without the service's credentials, because it cannot sign anew. */
export interface ServiceHelp {
  /** Reads the whole object that a ranged request names. */
  wholeObject?(request: SeenRequest): Promise<{ headers: OutgoingHttpHeaders; body: Uint8Array }>
  /** Answers a batch delete in which `refused` keys are not deleted. */
  deleteBatch?(
    request: SeenRequest,
    body: Buffer,
    refused: ReadonlySet<string>,
  ): Promise<{ headers: OutgoingHttpHeaders; body: string }>
}

/** Starts an HTTP proxy that stands between a store and its service and breaks what it is told to. */
export async function startFaultProxy(
  target: string,
  dialect: FaultDialect,
  help: ServiceHelp = {},
): Promise<FaultProxy> {
  const stalled = new Set<Socket>()
  const sockets = new Set<Socket>()
  const scripted = new ScriptedFaults(() => {
    for (const socket of stalled) socket.resetAndDestroy()
    stalled.clear()
  })
  let random: RandomFaults | undefined
  let down = false
  let refusedConnections = 0

  const server = createServer((incoming, outgoing) => {
    const seen = seenRequest(incoming)
    const kind = dialect.target(seen)
    const fault = scripted.take(kind) ?? random?.take(kind === 'get' || kind === 'list')
    const exchange: Exchange = {
      target,
      dialect,
      help,
      scripted,
      stalled,
      seen,
      incoming,
      outgoing,
    }
    handle(exchange, kind, fault).catch(() => incoming.socket.resetAndDestroy())
  })
  server.on('connection', (socket) => {
    if (down) {
      refusedConnections++
      socket.resetAndDestroy()
      return
    }
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  server.keepAliveTimeout = 30_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: scripted,
    random(options) {
      random = options === undefined ? undefined : new RandomFaults(options)
    },
    randomCounts: () => (random ?? new RandomFaults({ seed: 0 })).counts,
    outage(now) {
      down = now
      if (down) for (const socket of sockets) socket.resetAndDestroy()
    },
    outageCount: () => refusedConnections,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

interface Exchange {
  readonly target: string
  readonly dialect: FaultDialect
  readonly help: ServiceHelp
  readonly scripted: ScriptedFaults
  readonly stalled: Set<Socket>
  readonly seen: SeenRequest
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

async function handle(
  exchange: Exchange,
  kind: string | undefined,
  fault: Fault | undefined,
): Promise<void> {
  const { incoming, scripted } = exchange
  if (kind === 'delete' && scripted.refusedKeys.size > 0 && fault === undefined) {
    return await deleteWithRefusals(exchange)
  }
  switch (fault?.kind) {
    case 'dropRequest':
      incoming.socket.resetAndDestroy()
      return
    case 'dropResponse':
      await discard(await forward(exchange))
      incoming.socket.resetAndDestroy()
      return
    case 'stall':
      if (fault.afterCommit) await discard(await forward(exchange))
      else incoming.resume()
      exchange.stalled.add(incoming.socket)
      return
    case 'answer':
      return await answer(exchange, fault.status, fault.code, fault.retryAfterMs)
    case 'ignoreRange':
      return await answerWhole(exchange)
    case 'cutBody':
      return await passCut(exchange, await forward(exchange), fault.bytes, fault.cleanly)
    case 'before':
      await fault.hook()
      return pass(exchange, await forward(exchange))
    case 'slow':
      await sleep(fault.ms)
      return pass(exchange, await forward(exchange))
    case undefined:
      return pass(exchange, await forward(exchange))
  }
}

/** Sends the request on as it is; a signature also covers its Host header. */
async function forward({ target, incoming, outgoing }: Exchange): Promise<IncomingMessage> {
  const url = new URL(target)
  const onward = request({
    host: url.hostname,
    port: url.port,
    method: incoming.method,
    path: incoming.url,
    headers: incoming.rawHeaders,
    agent: false,
  })
  onward.on('error', () => {})
  // A client that goes away takes its request with it; one that got its answer does not.
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) onward.destroy()
  })
  const response = once(onward, 'response')
  incoming.pipe(onward)
  const [answered] = (await response) as [IncomingMessage]
  return answered
}

function pass({ outgoing }: Exchange, response: IncomingMessage): void {
  outgoing.writeHead(response.statusCode ?? 502, response.rawHeaders)
  response.on('error', () => outgoing.destroy())
  response.pipe(outgoing)
}

async function passCut(
  { incoming, outgoing }: Exchange,
  response: IncomingMessage,
  bytes: number,
  cleanly: boolean,
): Promise<void> {
  const headers = { ...response.headers }
  if (cleanly) {
    // Chunked, so that the client sees a proper end.
    delete headers['content-length']
  }
  outgoing.writeHead(response.statusCode ?? 502, headers)
  const whole = await collect(response)
  // A body that is shorter anyway loses its last byte: a fault that was counted must be felt.
  const body = whole.subarray(0, Math.min(bytes, Math.max(0, whole.length - 1)))
  await new Promise<void>((resolve) => outgoing.write(body.length > 0 ? body : '', () => resolve()))
  if (cleanly) {
    outgoing.end()
    return
  }
  // The bytes must be on their way before the reset overtakes them.
  await sleep(20)
  incoming.socket.resetAndDestroy()
}

async function answer(
  { incoming, outgoing, dialect, seen }: Exchange,
  status: number,
  code: 'checksum' | undefined,
  retryAfterMs: number | undefined,
): Promise<void> {
  await discard(incoming)
  const { headers, body } = dialect.error(status, code)
  const all: OutgoingHttpHeaders = { ...headers }
  if (retryAfterMs !== undefined) all['retry-after'] = String(Math.ceil(retryAfterMs / 1000))
  if (seen.method !== 'HEAD') all['content-length'] = Buffer.byteLength(body)
  outgoing.writeHead(status, all)
  outgoing.end(seen.method === 'HEAD' ? undefined : body)
}

async function answerWhole({ incoming, outgoing, help, seen }: Exchange): Promise<void> {
  if (help.wholeObject === undefined) throw new Error('the harness reads no whole objects')
  await discard(incoming)
  const { headers, body } = await help.wholeObject(seen)
  outgoing.writeHead(200, { ...headers, 'content-length': body.length })
  outgoing.end(body)
}

async function deleteWithRefusals(exchange: Exchange): Promise<void> {
  const { incoming, outgoing, help, scripted, seen } = exchange
  const refused = [...scripted.refusedKeys]
  if (seen.method === 'POST') {
    if (help.deleteBatch === undefined) throw new Error('the harness deletes no batches')
    const body = await collect(incoming)
    const answered = await help.deleteBatch(seen, body, scripted.refusedKeys)
    outgoing.writeHead(200, answered.headers)
    outgoing.end(answered.body)
    return
  }
  const path = decodeURIComponent(seen.url.pathname)
  if (refused.some((key) => path.endsWith(`/${key}`))) {
    return await answer(exchange, 403, undefined, undefined)
  }
  pass(exchange, await forward(exchange))
}

function seenRequest(incoming: IncomingMessage): SeenRequest {
  return {
    method: incoming.method ?? '',
    url: new URL(incoming.url ?? '/', 'http://proxy'),
    headers: incoming.headers,
  }
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function discard(stream: IncomingMessage): Promise<void> {
  for await (const _ of stream) {
    // Only its end matters.
  }
}
