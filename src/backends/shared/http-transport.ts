import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { ProxyEnv } from './proxy-env.ts'

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Pieces of the body, sent one after the other with one Content-Length. */
  readonly body?: readonly Uint8Array[] | undefined
  readonly signal: AbortSignal
}

export interface HttpTransportOptions {
  readonly maxSockets: number
  /** Longest silence on a connection in milliseconds, sending or receiving. */
  readonly timeoutMs: number
  /** Proxies for outgoing connections; `undefined`: none. */
  readonly proxyEnv?: ProxyEnv | undefined
}

/** Below the idle limit of common load balancers and NAT tables, so that no request meets a dead connection. */
const IDLE_CONNECTION_MS = 50_000

/**
 * HTTP with connections that are kept alive, bounded in number and owned by one store: for SDKs
 * whose own transport cannot be aborted or closed.
 */
export class HttpTransport {
  readonly #httpAgent: HttpAgent
  readonly #httpsAgent: HttpsAgent
  readonly #timeoutMs: number

  constructor({ maxSockets, timeoutMs, proxyEnv }: HttpTransportOptions) {
    const options = { keepAlive: true, maxSockets, timeout: IDLE_CONNECTION_MS, proxyEnv }
    this.#httpAgent = new HttpAgent(options)
    this.#httpsAgent = new HttpsAgent(options)
    this.#timeoutMs = timeoutMs
  }

  /**
   * Resolves with the answer's head; its body is the caller's to read or destroy.
   *
   * @throws the signal's reason; Node's own errors; `HttpTimeout` after the silence
   */
  send({ method, url, headers, body = [], signal }: HttpRequest): Promise<IncomingMessage> {
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
      sent.setTimeout(this.#timeoutMs, () => sent.destroy(new HttpTimeout(this.#timeoutMs)))
      sent.on('error', reject)
      sent.once('response', resolve)
      sent.once('close', () => signal.removeEventListener('abort', onAbort))
      for (const piece of body) sent.write(piece)
      sent.end()
    })
  }

  destroy(): void {
    this.#httpAgent.destroy()
    this.#httpsAgent.destroy()
  }
}

/** The other side was silent for too long. */
export class HttpTimeout extends Error {
  readonly code = 'ETIMEDOUT'

  constructor(timeoutMs: number) {
    super(`nothing was heard for ${timeoutMs} ms`)
    this.name = 'HttpTimeout'
  }
}

/** The whole body as text, for answers that are known to be small. */
export async function readText(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
