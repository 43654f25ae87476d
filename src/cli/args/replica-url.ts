import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { UsageError } from './usage-error.ts'

/**
 * Reads what `-b` accepts: a URL, a path that starts with `/` or `.` (a folder), or a bare
 * `bucket` or `bucket/prefix` (S3, as in walsync 0.1).
 *
 * @throws UsageError for anything else, and for a URL that carries credentials or a fragment
 */
export function parseReplicaUrl(text: string, cwd: string): URL {
  if (text.startsWith('/') || text.startsWith('.')) return pathToFileURL(resolve(cwd, text))
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]
  if (scheme === undefined) return bareBucket(text)
  if (!text.startsWith('://', scheme.length) || !URL.canParse(text)) {
    throw new UsageError(
      `The replica URL ${JSON.stringify(withoutSecrets(text))} is not a URL.`,
      `Write it as ${scheme.toLowerCase()}://…, for instance s3://bucket/prefix or file:///folder.`,
    )
  }
  const url = new URL(text)
  refuseFragment(text)
  refuseCredentials(url, scheme.toLowerCase())
  if (url.protocol === 'file:') refuseRelativeFile(url, text)
  return url
}

/** Litestream's `abs://account@container` names the account there, which is no secret. */
const ACCOUNT_SCHEMES: ReadonlySet<string> = new Set(['az', 'abs'])
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/

function bareBucket(text: string): URL {
  const [bucket = ''] = text.split('/', 1)
  if (BUCKET.test(bucket)) {
    refuseFragment(text)
    return new URL(`s3://${text}`)
  }
  throw new UsageError(
    `${JSON.stringify(withoutSecrets(text))} is neither a replica URL nor a bucket name.`,
    `For a folder write ./${withoutSecrets(text)}; for a bucket write s3://bucket/prefix.`,
  )
}

/** What follows a # never reaches a store: two replicas that differ only there would be one. */
function refuseFragment(text: string): void {
  if (!text.includes('#')) return
  throw new UsageError(
    `The replica URL ${JSON.stringify(withoutSecrets(text))} has a #, which ends the path of a URL.`,
    'Write %23 for a # in a prefix.',
  )
}

function refuseCredentials(url: URL, scheme: string): void {
  if (url.password === '' && (url.username === '' || ACCOUNT_SCHEMES.has(scheme))) return
  throw new UsageError(
    `The replica URL for ${url.host} carries credentials; they would show in process lists and logs.`,
    'Take them out of the URL and pass them in the environment, for instance as AWS_ACCESS_KEY_ID.',
  )
}

function refuseRelativeFile(url: URL, text: string): void {
  if (url.host === '') return
  throw new UsageError(
    `The replica URL ${JSON.stringify(text)} names a host; file URLs are absolute paths.`,
    `Write file:///${url.host}${url.pathname} for /${url.host}${url.pathname}, or ./${url.host}${url.pathname} for a folder here.`,
  )
}

function withoutSecrets(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/{2})?.*@/is, '$1…@')
}
