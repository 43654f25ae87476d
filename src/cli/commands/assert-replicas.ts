import { mapParallel } from '../../core/async/map-parallel.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import type { NamedReplica } from '../args/select-replicas.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'
import { noReplica } from './no-replica.ts'

/** How many replicas are listed at a time. */
const PARALLEL_LISTINGS = 8

/**
 * Makes sure that every replica has a file before anything is done to the first of them.
 *
 * @throws RestoreError `NoReplica` with the names that exist
 * @throws StoreError
 */
export async function assertReplicas(
  replicas: readonly NamedReplica[],
  opened: OpenedStore,
  signal: AbortSignal,
): Promise<void> {
  const found = await mapParallel(replicas, PARALLEL_LISTINGS, ({ prefix }) =>
    replicaClient(opened, prefix).hasFiles({ signal }),
  )
  const missing = replicas[found.indexOf(false)]
  if (missing === undefined) return
  const cause = new RestoreError('NoReplica', `There are no LTX files under ${missing.prefix}.`)
  throw await noReplica(cause, missing.name, opened, signal)
}
