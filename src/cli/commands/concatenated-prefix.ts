import { parseReplicaUrl } from '../args/replica-url.ts'

/** Where walsync 0.1 put databases for a URL without a slash at its end. */
export interface GluedPrefix {
  /** URL of the folder above, as `-b` takes it. */
  readonly url: string
  /** The URL's last part, with which the names of the databases' folders begin there. */
  readonly glue: string
}

/** Schemes whose paths are key prefixes; what a plugin makes of a path is its own affair. */
const PATH_SCHEMES: ReadonlySet<string> = new Set(['s3', 'tigris', 'gs', 'az', 'abs', 'file'])

/**
 * walsync 0.1 put the prefix and the name together as they were: with `-b s3://bucket/backups` the
 * database `app` stands in `backupsapp`. `undefined` if the URL has no prefix, or a slash at its
 * end.
 *
 * @throws UsageError as `parseReplicaUrl`
 */
export function gluedPrefix(text: string, cwd: string): GluedPrefix | undefined {
  if (/\/(?:\?|$)/.test(text)) return undefined
  const url = parseReplicaUrl(text, cwd)
  if (!PATH_SCHEMES.has(url.protocol.slice(0, -1))) return undefined
  const slash = url.pathname.lastIndexOf('/')
  const last = url.pathname.slice(slash + 1)
  // No name of a key needs an escape, so a part with one stands for no key.
  if (last === '' || !/^[A-Za-z0-9._=-]+$/.test(last)) return undefined
  url.pathname = url.pathname.slice(0, slash)
  return { url: url.href, glue: last }
}
