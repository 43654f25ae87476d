import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { replicaPlace } from './replica-place.ts'
import { ReplicationError } from './replication-error.ts'
import { type ProcessOptions, WalsyncProcess } from './walsync-process.ts'

export interface RestoreIfMissingOptions extends ProcessOptions {
  /** `PRAGMA` that checks the database before it gets its name. Default `full`. */
  readonly integrityCheck?: 'full' | 'quick' | 'none' | undefined
  /** Ends the restore; nothing is left of it. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Restores a database to the newest state of its replica, unless the file is there. For the first
 * lines of a program, before anything opens the database.
 *
 * @param path of the database; its folder must be there
 * @param url of the replica: `s3://bucket/app`, or a path such as `./replica/app`
 * @returns `no-replica` if there is nothing to restore: the application starts with a new database
 * @throws ReplicationError if there is a replica and it cannot be restored: damaged, or the store
 *   fails. The file does not exist then: do not continue with an empty database
 */
export async function restoreIfMissing(
  path: string,
  url: string,
  options: RestoreIfMissingOptions = {},
): Promise<'restored' | 'present' | 'no-replica'> {
  const { signal, integrityCheck = 'full' } = options
  const file = resolve(path)
  const { bucket, name } = replicaPlace(url, process.cwd())
  signal?.throwIfAborted()
  if (existsSync(file)) return 'present'
  const args = [name, '-b', bucket, '-o', file, '--integrity-check', integrityCheck]
  // Errors are thrown, but having nothing to restore is not an error.
  const restore = new WalsyncProcess('restore', args, { logLevel: 'silent', ...options })
  const release = restore.hold()
  const abort = () => restore.end()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const { code, error } = await restore.ended
    if (code === 0) return 'restored'
    signal?.throwIfAborted()
    // Another process was faster.
    if (error?.reason === 'TargetExists') return 'present'
    if (error !== undefined && isNothingThere(error, bucket)) return 'no-replica'
    throw error ?? new ReplicationError('Failed', `walsync restore ended with ${code}.`)
  } finally {
    signal?.removeEventListener('abort', abort)
    release()
  }
}

/** A bucket must be made by hand, a folder is made by the first upload. */
function isNothingThere({ reason }: ReplicationError, bucket: string): boolean {
  if (reason === 'NoReplica') return true
  return reason === 'ContainerNotFound' && /^(\/|file:)/i.test(bucket)
}
