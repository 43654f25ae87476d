import { type ProxyEnv, proxyEnv } from '../shared/proxy-env.ts'
import {
  type Env,
  invalidOption,
  nonEmpty,
  parseEndpointUrl,
  parsePrefix,
  Settings,
} from '../shared/settings.ts'

/** Options of a GCS store. */
export interface GcsOptions {
  readonly bucket: string
  /** Name prefix without a slash at its ends; empty for the whole bucket. */
  readonly prefix: string
  /** Default `https://storage.googleapis.com`. */
  readonly endpoint: URL
  /** An emulator gets no credentials. */
  readonly emulator: boolean
  /** A service account's key file; `undefined`: application-default credentials. */
  readonly keyFile: string | undefined
  /**
   * Size of one chunk of a resumable upload, and the largest body sent in one request, in bytes. A
   * multiple of 256 KiB. Default 8 MiB.
   */
  readonly partBytes: number
  /** Entries per page of a listing. Default and maximum 1,000. */
  readonly pageSize: number
  /** Maximum number of connections of this store. Default 32. */
  readonly maxSockets: number
  /** Longest silence on a connection, sending or receiving, in milliseconds. Default 60,000. */
  readonly timeoutMs: number
  /** Proxies for outgoing connections; `undefined`: none. */
  readonly proxyEnv?: ProxyEnv | undefined
}

const STANDARD_ENDPOINT = 'https://storage.googleapis.com'
/** GCS accepts only chunks whose size is a multiple of this. */
const CHUNK_UNIT = 256 * 1024
const NAMES = {
  store: 'A GCS store',
  inUrl: ['endpoint'],
  optionOnly: ['keyFile', 'partBytes', 'pageSize', 'maxSockets', 'timeoutMs'],
}

/**
 * Reads `gs://bucket/prefix`. Environment: `STORAGE_EMULATOR_HOST`,
 * `GOOGLE_APPLICATION_CREDENTIALS`. An `endpoint` takes precedence over the emulator's host and
 * gets credentials.
 *
 * @throws StoreError `InvalidArgument`
 */
export function parseGcsOptions(
  url: URL,
  env: Env,
  options: Readonly<Record<string, unknown>>,
): GcsOptions {
  if (url.username !== '' || url.password !== '') {
    throw invalidOption(
      'A store URL must not hold credentials.',
      'Set GOOGLE_APPLICATION_CREDENTIALS to a key file.',
    )
  }
  if (url.host === '') throw invalidOption('The URL names no bucket.', 'Write gs://bucket/prefix.')
  const settings = new Settings(url, options, NAMES)
  const proxy = proxyEnv(env)
  const endpoint = settings.text('endpoint')
  const emulatorHost = endpoint === undefined ? nonEmpty(env.STORAGE_EMULATOR_HOST) : undefined
  const partBytes = settings.count('partBytes', 8 * 1024 * 1024, CHUNK_UNIT)
  if (partBytes % CHUNK_UNIT !== 0) {
    throw invalidOption(
      `The option partBytes is ${partBytes}.`,
      'It must be a multiple of 262,144 bytes.',
    )
  }
  return {
    bucket: url.host,
    prefix: parsePrefix(url),
    endpoint:
      emulatorHost === undefined
        ? parseEndpointUrl(endpoint ?? STANDARD_ENDPOINT)
        : parseEndpointUrl(emulatorHost, 'http'),
    emulator: emulatorHost !== undefined,
    keyFile: settings.text('keyFile') ?? nonEmpty(env.GOOGLE_APPLICATION_CREDENTIALS),
    partBytes,
    pageSize: Math.min(1000, settings.count('pageSize', 1000, 1)),
    maxSockets: settings.count('maxSockets', 32, 1),
    timeoutMs: settings.count('timeoutMs', 60_000, 1),
    ...(proxy === undefined ? {} : { proxyEnv: proxy }),
  }
}
