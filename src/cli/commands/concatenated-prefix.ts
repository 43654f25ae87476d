import { parseReplicaUrl } from '../args/replica-url.ts'

/** Where walsync 0.1 stored databases for a URL without a slash at its end. */
export interface ConcatenatedPrefix {
  /** URL of the folder above, as `-b` takes it. */
  readonly url: string
  /** Last part of the URL: the names of the databases' folders start with it. */
  readonly start: string
}

/** Schemes whose paths are key prefixes; what a plugin makes of a path is unknown. */
const PATH_SCHEMES: ReadonlySet<string> = new Set(['s3', 'tigris', 'gs', 'az', 'abs', 'file'])

/**
 * walsync 0.1 concatenated the prefix and the name as they were: with `-b s3://bucket/backups` the
 * database `app` is in `backupsapp`. `undefined` if the URL has no prefix or ends with a slash.
 *
 * @throws UsageError as `parseReplicaUrl`
 */
export function concatenatedPrefix(text: string, cwd: string): ConcatenatedPrefix | undefined {
  if (/\/(?:\?|$)/.test(text)) return undefined
  const url = parseReplicaUrl(text, cwd)
  if (!PATH_SCHEMES.has(url.protocol.slice(0, -1))) return undefined
  const slash = url.pathname.lastIndexOf('/')
  const last = url.pathname.slice(slash + 1)
  // No key needs an escape, so a part with one cannot be the start of a key.
  if (last === '' || !/^[A-Za-z0-9._=-]+$/.test(last)) return undefined
  url.pathname = url.pathname.slice(0, slash)
  return { url: url.href, start: last }
}
