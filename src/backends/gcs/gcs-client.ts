import type { IncomingMessage } from 'node:http'
import { abortable } from '../../core/async/signals.ts'
import { HttpTransport, readText } from '../shared/http-transport.ts'
import { loadSdk } from '../shared/load-sdk.ts'
import { GcsAnswerError, noToken } from './gcs-errors.ts'
import type { GcsOptions } from './gcs-options.ts'
import { readKeyFile } from './key-file.ts'

/** Provides requests with credentials. */
interface Authority {
  getRequestHeaders(url?: string): Promise<Headers>
}

export interface GcsRequest {
  readonly method: string
  /** Path below the endpoint, encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>> | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: readonly Uint8Array[] | undefined
  readonly signal: AbortSignal
  /** Is the body of a successful response that of an object? */
  readonly object?: boolean | undefined
}

/**
 * GCS's JSON and XML APIs over our own connections. Of the SDK, only its credentials are used: its
 * requests take no AbortSignal and retry by their own rules.
 */
export class GcsClient {
  readonly options: GcsOptions
  readonly #transport: HttpTransport
  readonly #authority: Authority | undefined

  constructor(options: GcsOptions, authority: Authority | undefined) {
    this.options = options
    this.#transport = new HttpTransport(options)
    this.#authority = authority
  }

  /** The name of a key in the bucket: with the URL's prefix in front. */
  objectName(key: string): string {
    const { prefix } = this.options
    return prefix === '' ? key : `${prefix}/${key}`
  }

  /** JSON API: `/storage/v1/b/bucket/o[/name]`. */
  objectPath(key?: string): string {
    const objects = `/storage/v1/b/${encodeURIComponent(this.options.bucket)}/o`
    return key === undefined ? objects : `${objects}/${encodeURIComponent(this.objectName(key))}`
  }

  /**
   * Sends one request.
   *
   * @param allowed statuses that are neither a success nor a failure
   * @throws GcsAnswerError for any status other than these and 2xx
   */
  async send(request: GcsRequest, allowed: readonly number[] = []): Promise<IncomingMessage> {
    const url = new URL(request.path, this.options.endpoint)
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value)
    }
    const answer = await this.#transport.send({
      method: request.method,
      url,
      headers: { ...request.headers, ...(await this.#credentials(url, request.signal)) },
      body: request.body,
      signal: request.signal,
      isObject: (status) => request.object === true && status < 300,
    })
    const status = answer.statusCode ?? 0
    if ((status >= 200 && status < 300) || allowed.includes(status)) return answer
    const body = await readText(answer)
    throw new GcsAnswerError(status, body, answer.headers['retry-after'])
  }

  async sendJson<T>(request: GcsRequest): Promise<T> {
    return parseRecord(await readText(await this.send(request))) as T
  }

  destroy(): void {
    this.#transport.destroy()
  }

  async #credentials(url: URL, signal: AbortSignal): Promise<Record<string, string>> {
    if (this.#authority === undefined) return {}
    try {
      const headers = await abortable(this.#authority.getRequestHeaders(url.href), signal)
      return Object.fromEntries(headers)
    } catch (error) {
      signal.throwIfAborted()
      throw noToken(error, this.options.keyFile)
    }
  }
}

/** @throws SyntaxError if the text is not a JSON object */
export function parseRecord(text: string): object {
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null) return value
  throw new SyntaxError('not a JSON object')
}

/**
 * Loads the SDK for its credentials, unless the service is an emulator.
 *
 * @throws StoreError `Unsupported` if the SDK is not installed; `InvalidArgument` for a key file
 *   that cannot be used
 */
export async function connectGcs(options: GcsOptions): Promise<GcsClient> {
  if (options.emulator) return new GcsClient(options, undefined)
  const { Storage } = await loadSdk(
    '@google-cloud/storage',
    'The store gs://',
    () => import('@google-cloud/storage'),
  )
  const { authClient } = new Storage()
  // The option for a key file is deprecated, because it would take any type of credentials unseen.
  const { keyFile } = options
  if (keyFile !== undefined) authClient.jsonContent = await readKeyFile(keyFile)
  return new GcsClient(options, authClient as Authority)
}
