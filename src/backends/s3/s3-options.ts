import { homedir } from 'node:os'
import { join } from 'node:path'
import { type ProxyEnv, proxyEnv } from '../shared/proxy-env.ts'
import {
  type Env,
  invalidOption,
  nonEmpty,
  parseEndpointUrl,
  parsePrefix,
  Settings,
} from '../shared/settings.ts'
import { type S3Profile, s3Profile } from './s3-profile.ts'
import { isTigrisHost, TIGRIS_ENDPOINT } from './tigris.ts'

/**
 * Options of an S3 store, taken from the options, the URL and the environment; the first takes
 * precedence.
 */
export interface S3Options {
  readonly scheme: 's3' | 'tigris'
  readonly bucket: string
  /** Key prefix without a slash at its ends; empty for the whole bucket. */
  readonly prefix: string
  /** `undefined`: AWS's own endpoint for the region. */
  readonly endpoint: URL | undefined
  /** `undefined`: the SDK decides (profile and config file). */
  readonly region: string | undefined
  readonly profile: S3Profile
  /** Profile in the AWS config files. */
  readonly awsProfile: string | undefined
  /** Where the SDK looks for profiles, for messages. */
  readonly awsFiles: readonly string[]
  /** `undefined`: the SDK's provider chain (profile, SSO, web identity, container, instance). */
  readonly credentials: S3Credentials | undefined
  readonly pathStyle: boolean
  readonly consistency: 'strong' | 'same-region'
  /**
   * Size of one part, and the largest body sent in one request, in bytes. At least 5 MiB. Default 8
   * MiB.
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

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

const MIN_PART_BYTES = 5 * 1024 * 1024
const NAMES = {
  store: 'An S3 store',
  inUrl: ['endpoint', 'region', 'profile', 'forcePathStyle', 'consistency'],
  optionOnly: ['partBytes', 'pageSize', 'maxSockets', 'timeoutMs'],
}

/**
 * Reads `s3://bucket/prefix?endpoint=…&region=…` and `tigris://bucket/prefix`. An option takes
 * precedence over the URL's query, which takes precedence over the environment:
 * `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_PROFILE`,
 * `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
 *
 * @throws StoreError `InvalidArgument`
 */
export function parseS3Options(
  url: URL,
  env: Env,
  options: Readonly<Record<string, unknown>>,
): S3Options {
  if (url.username !== '' || url.password !== '') {
    throw invalidOption(
      'A store URL must not hold credentials.',
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile.',
    )
  }
  const scheme = url.protocol === 'tigris:' ? 'tigris' : 's3'
  const settings = new Settings(url, options, NAMES)
  const proxy = proxyEnv(env)
  const endpoint = parseEndpoint(scheme, settings.text('endpoint'), env)
  const profile = s3Profile(endpoint)
  const bucket = parseBucket(url, profile)
  const awsProfile = settings.text('profile') ?? nonEmpty(env.AWS_PROFILE)
  return {
    scheme,
    bucket,
    prefix: parsePrefix(url),
    endpoint,
    region: parseRegion(settings, env) ?? profile.region,
    profile,
    awsProfile,
    awsFiles: [
      nonEmpty(env.AWS_CONFIG_FILE) ?? join(homedir(), '.aws', 'config'),
      nonEmpty(env.AWS_SHARED_CREDENTIALS_FILE) ?? join(homedir(), '.aws', 'credentials'),
    ],
    credentials: awsProfile === undefined ? envCredentials(env) : undefined,
    pathStyle: settings.flag('forcePathStyle') ?? (profile.pathStyle || bucket.includes('.')),
    consistency: parseConsistency(settings, profile),
    partBytes: settings.count('partBytes', 8 * 1024 * 1024, MIN_PART_BYTES),
    pageSize: Math.min(1000, settings.count('pageSize', 1000, 1)),
    maxSockets: settings.count('maxSockets', 32, 1),
    timeoutMs: settings.count('timeoutMs', 60_000, 1),
    ...(proxy === undefined ? {} : { proxyEnv: proxy }),
  }
}

function parseEndpoint(
  scheme: S3Options['scheme'],
  given: string | undefined,
  env: Env,
): URL | undefined {
  if (given !== undefined) return parseS3Endpoint(given)
  const fromEnv = nonEmpty(env.AWS_ENDPOINT_URL_S3) ?? nonEmpty(env.AWS_ENDPOINT_URL)
  const endpoint = fromEnv === undefined ? undefined : parseS3Endpoint(fromEnv)
  if (scheme === 's3') return endpoint
  // tigris:// names the service, so an endpoint left in the environment for another service is ignored.
  const fits = endpoint !== undefined && isTigrisHost(endpoint.hostname)
  return fits ? endpoint : new URL(TIGRIS_ENDPOINT)
}

function parseS3Endpoint(value: string): URL {
  const url = parseEndpointUrl(value)
  if (!url.hostname.endsWith('.googleapis.com')) return url
  throw invalidOption(
    'The S3 interface of Google Cloud Storage does not support the conditional writes of S3.',
    'Use a gs:// URL instead.',
  )
}

function parseBucket(url: URL, profile: S3Profile): string {
  const bucket = url.host
  if (bucket === '') {
    throw invalidOption('The store URL names no bucket.', `Write ${url.protocol}//bucket/prefix.`)
  }
  if (bucket.endsWith('--x-s3')) {
    throw invalidOption(
      `${bucket} is an S3 Express directory bucket, which does not list keys in order.`,
      'Use a general purpose bucket.',
    )
  }
  if (profile.name === 'tigris' && bucket.includes('.')) {
    throw invalidOption(
      `The bucket name ${bucket} has a dot, which Tigris cannot address.`,
      'Use a bucket name without dots.',
    )
  }
  return bucket
}

function parseRegion(settings: Settings, env: Env): string | undefined {
  const region =
    settings.text('region') ?? nonEmpty(env.AWS_REGION) ?? nonEmpty(env.AWS_DEFAULT_REGION)
  // It becomes a part of the host name.
  if (region === undefined || /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(region)) return region
  throw invalidOption(
    `The region ${JSON.stringify(region.slice(0, 100))} is not the name of a region.`,
    'Give one such as eu-west-1.',
  )
}

function parseConsistency(settings: Settings, profile: S3Profile): S3Options['consistency'] {
  const value = settings.text('consistency') ?? profile.conditions.consistency
  if (value === 'strong' || value === 'same-region') return value
  throw invalidOption(
    `The consistency ${JSON.stringify(value)} is unknown.`,
    'Use strong or same-region.',
  )
}

function envCredentials(env: Env): S3Credentials | undefined {
  const accessKeyId = nonEmpty(env.AWS_ACCESS_KEY_ID)
  const secretAccessKey = nonEmpty(env.AWS_SECRET_ACCESS_KEY)
  const sessionToken = nonEmpty(env.AWS_SESSION_TOKEN)
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}
