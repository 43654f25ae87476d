import { resolve } from 'node:path'
import type { Replica } from './replica.ts'
import { replicaPlace } from './replica-place.ts'
import { Supervisor } from './supervisor.ts'
import type { ProcessOptions } from './walsync-process.ts'

/** Settings of `walsync watch`, as docs/reference/configuration.md explains them. */
export interface ReplicateOptions extends ProcessOptions {
  /** Upload changes at most this often: `'1s'`, `'100ms'`. Default 1 s. */
  readonly syncInterval?: string | undefined
  /** Upload a full copy this often. Default 24 h. */
  readonly snapshotInterval?: string | undefined
  /** Upper bound for the WAL: `'64MB'`. */
  readonly maxWalSize?: string | undefined
  /** Longest time for the last upload, at `stop`. Default 30 s. */
  readonly shutdownTimeout?: string | undefined
  /** `strict` refuses to start while another writer has the replica; `newest` takes over. */
  readonly singleWriter?: 'newest' | 'strict' | undefined
  /** Any other flags of `walsync watch`, as on the command line: `['--keep-for', '7d']`. */
  readonly flags?: readonly string[] | undefined
  /** Ends the start. Once the promise is resolved, `stop` ends the replication. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Replicates a database while this program runs. walsync runs in a process of its own, so that it
 * works with any SQLite library; it is started again if it ends, and ends when this program does,
 * also if that is killed.
 *
 * @param path of the database, in WAL mode
 * @param url of the replica: `s3://bucket/app`, or a path such as `./replica/app`. `walsync restore app
 *   -b s3://bucket` finds it
 * @returns when it replicates
 * @throws ReplicationError if it cannot start: the database or the store is not there, or a setting is
 *   wrong
 */
export async function replicate(
  path: string,
  url: string,
  options: ReplicateOptions = {},
): Promise<Replica> {
  const { bucket, name } = replicaPlace(url, process.cwd())
  const args = [resolve(path), '-b', bucket, '--name', name, ...watchFlags(options)]
  const supervisor = new Supervisor(name, args, options)
  await supervisor.started(options.signal)
  return supervisor
}

function watchFlags(options: ReplicateOptions): string[] {
  const named = {
    '--sync-interval': options.syncInterval,
    '--snapshot-interval': options.snapshotInterval,
    '--max-wal-size': options.maxWalSize,
    '--shutdown-timeout': options.shutdownTimeout,
    '--single-writer': options.singleWriter,
  }
  const flags = Object.entries(named).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, value],
  )
  return [...flags, ...(options.flags ?? [])]
}
