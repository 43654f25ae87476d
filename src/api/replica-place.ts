import { resolve } from 'node:path'
import { ReplicationError } from './replication-error.ts'

/** One replica, as the command line names it: `-b bucket` and a name. */
export interface ReplicaPlace {
  readonly bucket: string
  readonly name: string
}

/**
 * Takes the URL of one replica apart: its last segment is the name. A query stays with the bucket.
 *
 * @throws ReplicationError `Usage` for a URL that names a bucket and no replica
 */
export function replicaPlace(url: string, cwd: string): ReplicaPlace {
  const isPath = url.startsWith('/') || url.startsWith('.')
  const text = isPath ? resolve(cwd, url) : url
  const [, whole = '', query = ''] = (isPath ? null : /^([^?#]*)(.*)$/s.exec(text)) ?? ['', text]
  const path = whole.replace(/\/+$/, '')
  const cut = path.lastIndexOf('/')
  const bucket = path.slice(0, cut)
  const name = path.slice(cut + 1)
  const isBucketThere = isPath ? cut >= 0 : /^file:\/\//i.test(bucket) || /[^/:]$/.test(bucket)
  if (cut < 0 || name === '' || !isBucketThere) {
    throw new ReplicationError('Usage', `The URL ${JSON.stringify(url)} names no replica.`, {
      hint: 'Add the name of the replica to the URL of the bucket: s3://bucket/app.',
    })
  }
  return {
    bucket: (bucket === '' ? '/' : bucket) + query,
    name: isPath || !/^[a-z][a-z0-9+.-]*:/i.test(url) ? name : decoded(name),
  }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
