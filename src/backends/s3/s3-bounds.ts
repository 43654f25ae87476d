import type { IncomingMessage } from 'node:http'
import type { S3Client } from '@aws-sdk/client-s3'
import { linkSignals } from '../../core/async/signals.ts'
import { HttpTimeout, requestMs } from '../shared/answer-bounds.ts'
import { peerAt, withPeer } from '../shared/peer.ts'
import type { S3Options } from './s3-options.ts'

interface SentRequest {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number | undefined
  readonly method: string
  readonly query?: Readonly<Record<string, unknown>> | undefined
  readonly headers: Readonly<Record<string, string>>
}

type Handle = (
  request: SentRequest,
  options?: { readonly abortSignal?: AbortSignal | undefined },
) => Promise<{ readonly response: { readonly statusCode: number; readonly body: IncomingMessage } }>

/**
 * Limits the time of each request of the client: the SDK has timeouts for the response headers and
 * for silence, but none for the body. The body of an object is left to its reader, who may be slow.
 * Waiting for a free connection counts, because the SDK does not report it separately. An error gets
 * a note of where its request went, for its hint.
 */
export function boundRequests(
  client: S3Client,
  { timeoutMs, proxyEnv }: Pick<S3Options, 'timeoutMs' | 'proxyEnv'>,
): void {
  const handler = client.config.requestHandler as unknown as { handle: Handle }
  const handle = handler.handle.bind(handler)
  handler.handle = async (request, options) => {
    const ms = requestMs(timeoutMs, Number(request.headers['content-length'] ?? 0))
    const deadline = new AbortController()
    const link = linkSignals(options?.abortSignal, deadline.signal)
    let body: IncomingMessage | undefined
    const timer = setTimeout(() => {
      const error = new HttpTimeout(`the request took over ${ms} ms`)
      deadline.abort(error)
      body?.destroy(error)
    }, ms)
    try {
      const result = await handle(request, { ...options, abortSignal: link.signal })
      const answer = result.response.body
      body = answer
      answer.on('error', () => {})
      answer.once('close', () => {
        clearTimeout(timer)
        link.release()
      })
      if (isObject(request, result.response.statusCode)) clearTimeout(timer)
      return result
    } catch (error) {
      clearTimeout(timer)
      link.release()
      throw withPeer(
        deadline.signal.aborted ? deadline.signal.reason : error,
        peerAt(urlOf(request), proxyEnv),
      )
    }
  }
}

function urlOf({ protocol, hostname, port }: SentRequest): URL {
  return new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`)
}

function isObject({ method, query }: SentRequest, status: number): boolean {
  return method === 'GET' && query?.['x-id'] === 'GetObject' && status < 300
}
