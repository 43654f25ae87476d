import type { Socket } from 'node:net'
import { eventLine } from '../output/event-log.ts'
import { jsonLine } from '../output/json-line.ts'
import type { ControlMethods } from './control-methods.ts'
import { LineSplitter } from './line-splitter.ts'
import {
  ControlError,
  type ControlRequest,
  MAX_LINE_BYTES,
  MAX_OPEN_REQUESTS,
  MAX_UNREAD_BYTES,
  PROTOCOL_VERSION,
  parseRequest,
  type RequestId,
} from './protocol.ts'

/** Serves one connection until the client closes it; its requests and subscriptions end with it. */
export function serveControl(client: Socket, methods: ControlMethods): void {
  const open = new Map<RequestId, AbortController>()
  const lines = new LineSplitter(MAX_LINE_BYTES)
  const send = (id: RequestId | null, answer: object): void => {
    if (client.destroyed) return
    client.write(jsonLine({ v: PROTOCOL_VERSION, id, ...answer }))
    // Who subscribes and does not read must not fill the memory of the watcher.
    if (client.writableLength > MAX_UNREAD_BYTES) client.destroy()
  }
  const fail = (id: RequestId | null, error: unknown): void => {
    const { code, message, hint } =
      error instanceof ControlError ? error : new ControlError('Internal', String(error))
    send(id, { error: { code, message, hint } })
  }

  let isHalfClosed = false
  const closed = (id: RequestId): void => {
    open.delete(id)
    if (isHalfClosed && open.size === 0) client.end()
  }

  const take = (line: string): void => {
    if (line.trim() === '') return
    const request = parseRequest(line)
    const refusal = 'error' in request ? request.error : refuse(request.id)
    if (refusal !== undefined || 'error' in request) {
      fail(request.id, refusal)
      return
    }
    const { id } = request
    const abort = new AbortController()
    open.set(id, abort)
    void run(request, abort.signal).then(
      (result) => {
        send(id, { result })
        if (request.method !== 'subscribe') closed(id)
      },
      (error: unknown) => {
        fail(id, error)
        closed(id)
      },
    )
  }

  const refuse = (id: RequestId): ControlError | undefined => {
    if (open.has(id)) {
      const message = `The id ${JSON.stringify(id)} is that of a request that is not over.`
      return new ControlError('BadRequest', message, 'Give each request its own id.')
    }
    if (open.size < MAX_OPEN_REQUESTS) return undefined
    const message = `More than ${MAX_OPEN_REQUESTS} requests of this connection are open.`
    return new ControlError('TooManyRequests', message, 'Wait for their answers.')
  }

  const run = async (request: ControlRequest, signal: AbortSignal): Promise<object> => {
    switch (request.method) {
      case 'status':
        return methods.status(request.params.databases)
      case 'sync':
      case 'wait': {
        const { databases, timeoutMs } = request.params
        const when = request.method === 'sync' ? 'now' : 'paced'
        return await methods.sync(when, databases, timeoutMs, signal)
      }
      case 'subscribe': {
        const { databases, events } = request.params
        const stop = methods.subscribe(databases, events, (event, now) =>
          send(request.id, { event: eventLine(event, now) }),
        )
        signal.addEventListener('abort', stop, { once: true })
        return {}
      }
      case 'cancel': {
        const { id } = request.params
        const isKnown = id !== request.id && open.has(id)
        const message = 'The request was cancelled.'
        if (isKnown) open.get(id)?.abort(new ControlError('Cancelled', message))
        // A subscription has been answered: nothing else ends it.
        if (isKnown) closed(id)
        return { cancelled: isKnown }
      }
    }
  }

  client.on('data', (chunk: Buffer) => {
    const found = lines.push(chunk)
    if (found !== undefined) {
      for (const line of found) take(line)
      return
    }
    const message = `A line is longer than ${MAX_LINE_BYTES} bytes.`
    fail(null, new ControlError('LineTooLong', message, 'Connect again.'))
    client.end()
    client.pause()
  })
  // As `printf … | nc -U` does: it sends no more, and still wants its answers.
  client.on('end', () => {
    isHalfClosed = true
    if (open.size === 0) client.end()
  })
  client.on('close', () => {
    for (const abort of open.values()) abort.abort(new ControlError('Cancelled', 'Disconnected.'))
    open.clear()
  })
  // The client may be gone already: there is nobody to report this to.
  client.on('error', () => client.destroy())
}
