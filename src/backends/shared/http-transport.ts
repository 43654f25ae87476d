import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { HttpTimeout, readAnswer, requestMs } from './answer-bounds.ts'
import { peerAt, withPeer } from './peer.ts'
import type { ProxyEnv } from './proxy-env.ts'

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Pieces of the body, sent one after the other under one Content-Length. */
  readonly body?: readonly Uint8Array[] | undefined
  readonly signal: AbortSignal
  /**
   * Is the body of a response with this status an object? Then its reader sets the pace. Default:
   * never.
   */
  readonly isObject?: ((status: number) => boolean) | undefined
}

export interface HttpTransportOptions {
  readonly maxSockets: number
  /** Longest silence on a connection, sending or receiving, in milliseconds. */
  readonly timeoutMs: number
  /** Proxies for outgoing connections; `undefined`: none. */
  readonly proxyEnv?: ProxyEnv | undefined
}

/** Below the idle limit of common load balancers and NAT tables, so that no request meets a dead connection. */
const IDLE_CONNECTION_MS = 50_000

/**
 * HTTP over keep-alive connections that are limited in number and owned by one store: for SDKs
 * whose own transport cannot be aborted or closed.
 */
export class HttpTransport {
  readonly #httpAgent: HttpAgent
  readonly #httpsAgent: HttpsAgent
  readonly #timeoutMs: number
  readonly #proxyEnv: ProxyEnv | undefined

  constructor({ maxSockets, timeoutMs, proxyEnv }: HttpTransportOptions) {
    const options = { keepAlive: true, maxSockets, timeout: IDLE_CONNECTION_MS, proxyEnv }
    this.#httpAgent = new HttpAgent(options)
    this.#httpsAgent = new HttpsAgent(options)
    this.#timeoutMs = timeoutMs
    this.#proxyEnv = proxyEnv
  }

  /**
   * Resolves when the response headers have arrived; the caller must read or destroy the body.
   *
   * @throws the signal's reason; Node's own errors; `HttpTimeout` after too long a silence, or if
   *   the request takes too long as a whole
   */
  send(request: HttpRequest): Promise<IncomingMessage> {
    const { method, url, headers, body = [], signal, isObject } = request
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const secure = url.protocol === 'https:'
      const length = body.reduce((sum, piece) => sum + piece.length, 0)
      const sent = (secure ? httpsRequest : httpRequest)(url, {
        method,
        headers: {
          ...headers,
          ...(length > 0 || method === 'PUT' || method === 'POST'
            ? { 'content-length': String(length) }
            : {}),
        },
        agent: secure ? this.#httpsAgent : this.#httpAgent,
      })
      const onAbort = () => {
        sent.destroy()
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const ms = requestMs(this.#timeoutMs, length)
      let deadline: NodeJS.Timeout | undefined
      let answer: IncomingMessage | undefined
      // A response that has begun gets the reason; from its request it would only be "aborted".
      const end = (message: string) => (answer ?? sent).destroy(new HttpTimeout(message))
      sent.setTimeout(this.#timeoutMs, () => end(`nothing was heard for ${this.#timeoutMs} ms`))
      // Not before: waiting in our own queue for a connection does not count.
      sent.once('socket', () => {
        deadline = setTimeout(() => end(`the request took over ${ms} ms`), ms)
      })
      sent.on('error', (error) => reject(withPeer(error, peerAt(url, this.#proxyEnv))))
      sent.once('response', (received) => {
        answer = received
        received.on('error', () => {})
        if (isObject?.(received.statusCode ?? 0) === true) clearTimeout(deadline)
        resolve(received)
      })
      sent.once('close', () => {
        clearTimeout(deadline)
        signal.removeEventListener('abort', onAbort)
      })
      for (const piece of body) sent.write(piece)
      sent.end()
    })
  }

  destroy(): void {
    this.#httpAgent.destroy()
    this.#httpsAgent.destroy()
  }
}

/** The whole body as text, for responses that are not objects. */
export async function readText(stream: IncomingMessage): Promise<string> {
  return (await readAnswer(stream)).toString('utf8')
}
