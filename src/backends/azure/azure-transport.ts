import type { HttpOperationResponse, IHttpClient, WebResource } from '@azure/storage-blob'
import { type HttpTransport, readText } from '../shared/http-transport.ts'
import { NotFromAzure } from './azure-errors.ts'

/**
 * An HTTP client for the SDK that uses our own connections: the SDK's shares its agents between all
 * clients of the process, does not limit the number of connections and cannot be closed. A success
 * counts only with the request id that Azure gives to every request: a web page would pass for an
 * empty container or a stored blob.
 */
export function azureHttpClient(transport: HttpTransport): IHttpClient {
  return {
    async sendRequest(request: WebResource): Promise<HttpOperationResponse> {
      const answer = await transport.send({
        method: request.method,
        url: new URL(request.url),
        headers: request.headers.toJson(),
        body: bodyOf(request.body),
        signal: (request.abortSignal as AbortSignal | undefined) ?? new AbortController().signal,
        isObject: (status) => request.streamResponseStatusCodes?.has(status) === true,
      })
      const status = answer.statusCode ?? 0
      if (status < 300 && answer.headers['x-ms-request-id'] === undefined) {
        answer.destroy()
        throw new NotFromAzure()
      }
      const headers = request.headers.clone()
      for (const name of headers.headerNames()) headers.remove(name)
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined) headers.set(name, String(value))
      }
      const response = { request, status, headers }
      if (request.streamResponseStatusCodes?.has(status) === true) {
        return { ...response, readableStreamBody: answer }
      }
      return { ...response, bodyAsText: await readText(answer) }
    },
  }
}

/** Bodies are bytes from the store or XML text from the SDK; there are no others. */
function bodyOf(body: unknown): readonly Uint8Array[] {
  if (body === undefined || body === null) return []
  if (typeof body === 'string') return [Buffer.from(body)]
  if (body instanceof Uint8Array) return [body]
  throw new TypeError('unexpected body of a request')
}
