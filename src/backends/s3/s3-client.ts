import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { S3Client } from '@aws-sdk/client-s3'
import { readAnswer } from '../shared/answer-bounds.ts'
import { loadSdk } from '../shared/load-sdk.ts'
import { EtagForms } from './etag-forms.ts'
import { boundRequests } from './s3-bounds.ts'
import type { S3Options } from './s3-options.ts'
import { requireTigrisConsistency } from './tigris.ts'

export type S3Sdk = typeof import('@aws-sdk/client-s3')

/** The SDK, a client of it, and its connections. */
export interface S3Connection {
  readonly sdk: S3Sdk
  readonly client: S3Client
  readonly options: S3Options
  readonly etags: EtagForms
  destroy(): void
}

/**
 * Without one the SDK writes warnings to the console, such as for keys next to a profile, of which
 * walsync documents which counts.
 */
const SILENT = { trace() {}, debug() {}, info() {}, warn() {}, error() {} }
const CONNECT_TIMEOUT_MS = 10_000
/** Below the idle limit of common load balancers and NAT tables, so that no request meets a dead connection. */
const IDLE_CONNECTION_MS = 50_000

/**
 * Loads the SDK and creates a client that never retries: the retry layer above knows which writes
 * may be repeated; the SDK does not.
 *
 * @throws StoreError `Unsupported` if the SDK is not installed
 */
export async function connectS3(options: S3Options): Promise<S3Connection> {
  const sdk = await loadSdk(
    '@aws-sdk/client-s3',
    `The store ${options.scheme}://`,
    () => import('@aws-sdk/client-s3'),
  )
  const agentOptions = {
    keepAlive: true,
    maxSockets: options.maxSockets,
    timeout: IDLE_CONNECTION_MS,
    proxyEnv: options.proxyEnv,
  }
  const httpAgent = new HttpAgent(agentOptions)
  const httpsAgent = new HttpsAgent(agentOptions)
  const client = new sdk.S3Client({
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint.href }),
    ...(options.region === undefined ? {} : { region: options.region }),
    ...(options.awsProfile === undefined ? {} : { profile: options.awsProfile }),
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
    forcePathStyle: options.pathStyle,
    maxAttempts: 1,
    requestChecksumCalculation: options.profile.uploadChecksums
      ? 'WHEN_SUPPORTED'
      : 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    streamCollector: readAnswer,
    logger: SILENT,
    requestHandler: {
      httpAgent,
      httpsAgent,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: options.timeoutMs,
    },
  })
  if (options.credentials === undefined) readKeysAgain(client)
  boundRequests(client, options)
  if (options.profile.name === 'tigris') requireTigrisConsistency(client)
  return {
    sdk,
    client,
    options,
    etags: new EtagForms(options.profile.bareEtags),
    destroy() {
      client.destroy()
      httpAgent.destroy()
      httpsAgent.destroy()
    },
  }
}

/** The name of a key in the bucket: with the URL's prefix in front. */
export function objectName(options: S3Options, key: string): string {
  return options.prefix === '' ? key : `${options.prefix}/${key}`
}

interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  readonly expiration?: Date | undefined
}

interface KeyConfig {
  profile?: string | undefined
  credentials: unknown
  credentialDefaultProvider(input: object): () => Promise<Keys>
}

/** The SDK refreshes keys that expire within this time, in milliseconds. */
const SDK_MARGIN_MS = 300_000
/** How long static keys are used before their file is read again, in milliseconds. */
const REREAD_MS = 60_000

/**
 * Makes a client re-read static keys from the AWS files from time to time. The SDK itself caches
 * keys without an expiry, and the contents of the files, so rotated keys would take effect only
 * after a restart.
 */
function readKeysAgain(client: S3Client): void {
  const config = client.config as unknown as KeyConfig
  const chain = config.credentialDefaultProvider
  config.credentials = async (): Promise<Keys> => {
    const input = { ...config, ignoreCache: true, parentClientConfig: config }
    const keys = await chain(input)()
    if (keys.expiration !== undefined) return keys
    return { ...keys, expiration: new Date(Date.now() + SDK_MARGIN_MS + REREAD_MS) }
  }
}
