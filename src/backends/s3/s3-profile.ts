import type { StoreCapabilities } from '../../core/store/index.ts'
import { isTigrisHost } from './tigris.ts'

/**
 * How an S3 service differs from others. Chosen by the host of the endpoint that is actually used.
 */
export interface S3Profile {
  readonly name: 'aws' | 'tigris' | 'r2' | 'b2' | 'spaces' | 'generic'
  /** Whether to use path style (`host/bucket/key`) unless the caller decides. */
  readonly pathStyle: boolean
  /** Region to use if none is given. */
  readonly region: string | undefined
  /** Does the service accept the SDK's checksum headers on uploads? Many refuse them. */
  readonly uploadChecksums: boolean
  /**
   * Which form of `If-Match` is tried first. DigitalOcean compares it with the ETag without quotes.
   */
  readonly bareEtags: boolean
  /** Number of parts of one upload that are sent at once. */
  readonly partConcurrency: number
  readonly conditions: Pick<
    StoreCapabilities,
    'ifAbsent' | 'ifMatch' | 'deleteIfMatch' | 'consistency'
  >
}

/**
 * Conditional deletes are declared only where the service documents them: MinIO and others accept
 * the header, ignore it and delete.
 */
const GENERIC: S3Profile = {
  name: 'generic',
  pathStyle: true,
  region: 'us-east-1',
  uploadChecksums: false,
  bareEtags: false,
  partConcurrency: 2,
  conditions: {
    ifAbsent: 'atomic',
    ifMatch: 'atomic',
    deleteIfMatch: 'none',
    consistency: 'strong',
  },
}

/**
 * The profile of an endpoint; `undefined` is AWS's own. Whole domain labels are compared, so
 * `t3.storage.dev.example` matches nothing.
 */
export function s3Profile(endpoint: URL | undefined): S3Profile {
  const host = endpoint?.hostname.toLowerCase()
  if (host === undefined || under(host, 'amazonaws.com') || under(host, 'amazonaws.com.cn')) {
    return {
      ...GENERIC,
      name: 'aws',
      pathStyle: false,
      region: awsRegion(host),
      uploadChecksums: true,
      conditions: { ...GENERIC.conditions, deleteIfMatch: 'atomic' },
    }
  }
  if (isTigrisHost(host)) {
    return {
      ...GENERIC,
      name: 'tigris',
      pathStyle: false,
      region: 'auto',
      conditions: { ...GENERIC.conditions, deleteIfMatch: 'atomic', consistency: 'same-region' },
    }
  }
  if (under(host, 'r2.cloudflarestorage.com')) return { ...GENERIC, name: 'r2', region: 'auto' }
  if (under(host, 'backblazeb2.com')) {
    return {
      ...GENERIC,
      name: 'b2',
      region: /^s3\.([^.]+)\.backblazeb2\.com$/.exec(host)?.[1],
      conditions: { ...GENERIC.conditions, ifAbsent: 'none', ifMatch: 'none' },
    }
  }
  if (under(host, 'digitaloceanspaces.com')) {
    return { ...GENERIC, name: 'spaces', pathStyle: false, bareEtags: true }
  }
  return { ...GENERIC, pathStyle: isBareHost(host) }
}

function under(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`)
}

/** `s3.eu-west-1.amazonaws.com` contains its region; if a host does not, the SDK determines it. */
function awsRegion(host: string | undefined): string | undefined {
  return host === undefined ? undefined : /(?:^|\.)s3[.-]([a-z]+-[a-z-]+-\d)\./.exec(host)?.[1]
}

/**
 * A bucket cannot be prepended to an IP address, and `bucket.localhost` resolves on few systems.
 */
function isBareHost(host: string): boolean {
  return (
    /^\d+(\.\d+){3}$/.test(host) ||
    host.startsWith('[') ||
    !host.includes('.') ||
    host.endsWith('.localhost')
  )
}
