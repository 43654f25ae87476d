import { createHash } from 'node:crypto'
import { relative, resolve, sep } from 'node:path'
import { replicaName } from '../../core/replica/replica-layout.ts'
import { encodeSegment } from '../../core/store/index.ts'
import type { NamedDatabase } from '../args/database-names.ts'
import type { DatabaseSettings } from '../args/database-settings.ts'
import { displayName } from '../args/replica-names.ts'
import { parseReplicaUrl } from '../args/replica-url.ts'
import type { WatchSource } from './watch-plan.ts'

/**
 * One file, its replica, and how it is replicated. Plain data: two equal values are replicated in
 * the same way.
 */
export interface WatchedDatabase extends NamedDatabase {
  /** URL of its replica without a query. No two databases may have the same one. */
  readonly replica: string
  readonly bucket: string
  readonly settings: DatabaseSettings
}

/**
 * The database for a file of a source. If its source has its own bucket, it is named by the URL of
 * its replica, because several buckets may each hold an `app`.
 *
 * @param path absolute
 * @throws StoreError `InvalidKey` for a file name that cannot be part of a key
 */
export function watchedDatabase(source: WatchSource, path: string, cwd: string): WatchedDatabase {
  const prefix = prefixFor(source, path)
  const { bucket } = source
  const root = bucketRoot(bucket, cwd)
  const replica = [root, prefix].filter((part) => part !== '').join('/')
  const name = displayName(prefix)
  const { spoolDir } = source.settings
  return {
    name: source.hasOwnBucket ? [root, ...(prefix === '' ? [] : [name])].join('/') : name,
    prefix,
    path,
    replica,
    bucket,
    settings: {
      ...source.settings,
      spoolDir: spoolDir && spoolFolder(spoolDir, source.hasOwnBucket ? root : '', prefix),
    },
  }
}

/**
 * The URL of a bucket without its query, which says how to reach it and not where it is. A
 * different endpoint, however, is a different store.
 */
export function bucketRoot(bucket: string, cwd: string): string {
  const url = parseReplicaUrl(bucket, cwd)
  const endpoint = url.searchParams.get('endpoint')
  const at = endpoint === null ? '' : `${endpoint.replace(/^\w+:\/\//, '')}/`
  const path = url.pathname.replace(/\/+$/, '')
  return `${url.protocol}//${at}${url.username === '' ? '' : `${url.username}@`}${url.host}${path}`
}

function prefixFor({ where, name, prefix }: WatchSource, path: string): string {
  if (name !== undefined) return joined(prefix, name)
  if (where.kind === 'path') return joined(prefix, replicaName(path))
  const folders = relative(where.base, path).split(sep).slice(0, -1)
  return joined(prefix, ...folders.map(encodeSegment), replicaName(path))
}

/** `''` is the replica at the root of the URL. */
function joined(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('/')
}

/** Two buckets may hold replicas with the same name. */
function spoolFolder(spoolDir: string, root: string, prefix: string): string {
  if (root === '') return resolve(spoolDir, prefix)
  return resolve(spoolDir, createHash('sha256').update(root).digest('hex').slice(0, 16), prefix)
}
