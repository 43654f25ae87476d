import { StoreError } from '../../core/store/index.ts'
import { type S3Profile, s3Profile } from './s3-profile.ts'
import { isTigrisHost, TIGRIS_ENDPOINT } from './tigris.ts'

/** What an S3 store is opened with, completed from URL, options and environment in that order of weakness. */
export interface S3Options {
  readonly scheme: 's3' | 'tigris'
  readonly bucket: string
  /** Key prefix without a slash at its ends; empty for the whole bucket. */
  readonly prefix: string
  /** `undefined` is AWS's own for the region. */
  readonly endpoint: URL | undefined
  /** `undefined` leaves it to the SDK (profile and config file). */
  readonly region: string | undefined
  readonly profile: S3Profile
  /** Profile in the AWS config files. */
  readonly awsProfile: string | undefined
  /** `undefined` leaves them to the SDK's chain: profile, SSO, web identity, container, instance. */
  readonly credentials: S3Credentials | undefined
  readonly pathStyle: boolean
  readonly consistency: 'strong' | 'same-region'
  /** Size of one part, and the largest body that goes up in one request, in bytes. Default 8 MiB, least 5 MiB. */
  readonly partBytes: number
  /** Connections of this store at most. Default 32. */
  readonly maxSockets: number
  /** Longest silence on a connection in milliseconds, sending or receiving. Default 60,000. */
  readonly timeoutMs: number
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

type Env = Readonly<Record<string, string | undefined>>
type Settings = Readonly<Record<string, unknown>>

const MIN_PART_BYTES = 5 * 1024 * 1024
const URL_SETTINGS = ['endpoint', 'region', 'profile', 'forcePathStyle', 'consistency']
const SETTINGS = [...URL_SETTINGS, 'partBytes', 'maxSockets', 'timeoutMs']

/**
 * Reads `s3://bucket/prefix?endpoint=…&region=…` and `tigris://bucket/prefix`. An option given in
 * `settings` beats the URL's query, which beats the environment: `AWS_ENDPOINT_URL_S3`,
 * `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`,
 * `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
 *
 * @throws StoreError `InvalidArgument`
 */
export function parseS3Options(url: URL, env: Env, settings: Settings): S3Options {
  const scheme = url.protocol === 'tigris:' ? 'tigris' : 's3'
  const given = mergeSettings(url, settings)
  const endpoint = parseEndpoint(scheme, text(given, 'endpoint'), env)
  const profile = s3Profile(endpoint)
  const bucket = parseBucket(url, profile)
  const awsProfile = text(given, 'profile') ?? nonEmpty(env.AWS_PROFILE)
  return {
    scheme,
    bucket,
    prefix: parsePrefix(url),
    endpoint,
    region:
      text(given, 'region') ??
      nonEmpty(env.AWS_REGION) ??
      nonEmpty(env.AWS_DEFAULT_REGION) ??
      profile.region,
    profile,
    awsProfile,
    credentials: awsProfile === undefined ? envCredentials(env) : undefined,
    pathStyle: flag(given, 'forcePathStyle') ?? (profile.pathStyle || bucket.includes('.')),
    consistency: parseConsistency(given, profile),
    partBytes: count(given, 'partBytes', 8 * 1024 * 1024, MIN_PART_BYTES),
    maxSockets: count(given, 'maxSockets', 32, 1),
    timeoutMs: count(given, 'timeoutMs', 60_000, 1),
  }
}

function mergeSettings(url: URL, settings: Settings): Settings {
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      'A store URL must not hold credentials.',
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile.',
    )
  }
  const merged: Record<string, unknown> = {}
  for (const [name, value] of url.searchParams) {
    if (!URL_SETTINGS.includes(name)) {
      throw invalid(
        `The URL of the bucket ${url.host} has the unknown setting ${JSON.stringify(name)}.`,
        `Known are ${URL_SETTINGS.join(', ')}.`,
      )
    }
    merged[name] = value
  }
  for (const [name, value] of Object.entries(settings)) {
    if (name === 'signal' || value === undefined) continue
    if (!SETTINGS.includes(name)) {
      throw invalid(
        `An S3 store has no option ${JSON.stringify(name)}.`,
        `It has ${SETTINGS.join(', ')}.`,
      )
    }
    merged[name] = value
  }
  return merged
}

function parseEndpoint(
  scheme: S3Options['scheme'],
  given: string | undefined,
  env: Env,
): URL | undefined {
  const fromEnv = nonEmpty(env.AWS_ENDPOINT_URL_S3) ?? nonEmpty(env.AWS_ENDPOINT_URL)
  if (given !== undefined) return parseEndpointUrl(given)
  const endpoint = fromEnv === undefined ? undefined : parseEndpointUrl(fromEnv)
  if (scheme === 's3') return endpoint
  // tigris:// names the service, so an endpoint for another one that is left in the environment does not count.
  const fits = endpoint !== undefined && isTigrisHost(endpoint.hostname)
  return fits ? endpoint : new URL(TIGRIS_ENDPOINT)
}

function parseEndpointUrl(value: string): URL {
  const withScheme = value.includes('://') ? value : `https://${value}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw invalid(
      `The endpoint ${JSON.stringify(value.replace(/\/\/[^/]*@/, '//'))} is no http or https URL.`,
      'Give it as https://host or http://host:port.',
    )
  }
  if (url.hostname.endsWith('.googleapis.com')) {
    throw invalid(
      'Google Cloud Storage has other conditions than S3 on its S3 interface.',
      'Use a gs:// URL instead.',
    )
  }
  return url
}

function parseBucket(url: URL, profile: S3Profile): string {
  const bucket = url.host
  if (bucket === '') {
    throw invalid('The store URL names no bucket.', `Write ${url.protocol}//bucket/prefix.`)
  }
  if (bucket.endsWith('--x-s3')) {
    throw invalid(
      `${bucket} is an S3 Express directory bucket, which does not list in order.`,
      'Use a general purpose bucket.',
    )
  }
  if (profile.name === 'tigris' && bucket.includes('.')) {
    throw invalid(
      `The bucket name ${bucket} has a dot, which Tigris cannot address.`,
      'Use a bucket name without dots.',
    )
  }
  return bucket
}

function parsePrefix(url: URL): string {
  const prefix = decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, '')
  const bad = prefix !== '' && prefix.split('/').some((part) => /^\.{0,2}$/.test(part))
  if (!bad && prefix.length <= 400) return prefix
  throw invalid(
    `The prefix ${JSON.stringify(prefix.slice(0, 100))} has an empty or dotted segment or over 400 characters.`,
    'Use plain path segments.',
  )
}

function parseConsistency(given: Settings, profile: S3Profile): S3Options['consistency'] {
  const value = text(given, 'consistency') ?? profile.conditions.consistency
  if (value === 'strong' || value === 'same-region') return value
  throw invalid(
    `The consistency ${JSON.stringify(value)} is unknown.`,
    'It is strong or same-region.',
  )
}

function envCredentials(env: Env): S3Credentials | undefined {
  const accessKeyId = nonEmpty(env.AWS_ACCESS_KEY_ID)
  const secretAccessKey = nonEmpty(env.AWS_SECRET_ACCESS_KEY)
  const sessionToken = nonEmpty(env.AWS_SESSION_TOKEN)
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
}

function text(given: Settings, name: string): string | undefined {
  const value = given[name]
  if (value === undefined || value === '') return undefined
  if (typeof value === 'string') return value
  throw invalid(`The option ${name} is no text.`, `Give ${name} as text.`)
}

function flag(given: Settings, name: string): boolean | undefined {
  const value = given[name]
  if (value === undefined || typeof value === 'boolean') return value
  if (value === 'true' || value === 'false') return value === 'true'
  throw invalid(`The option ${name} is neither true nor false.`, 'Give true or false.')
}

function count(given: Settings, name: string, standard: number, least: number): number {
  const value = given[name] ?? standard
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number
  throw invalid(
    `The option ${name} is ${String(value)}.`,
    `Give a whole number of at least ${least}.`,
  )
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

function invalid(message: string, hint: string): StoreError {
  return new StoreError('InvalidArgument', message, { op: 'open', hint })
}
