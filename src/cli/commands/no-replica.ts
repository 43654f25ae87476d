import { mapParallel } from '../../core/async/map-parallel.ts'
import { listReplicas } from '../../core/replica/list-replicas.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import { displayName } from '../args/replica-names.ts'
import type { NamedReplica } from '../args/select-replicas.ts'
import { type OpenedStore, replicaClient } from '../composition/open-store.ts'

/** Names shown in an error. */
const MAX_NAMES = 10

/**
 * The error for a name that no replica has. The usual reason is a name that is almost right, so it
 * lists those that exist.
 *
 * @param others Names of replicas of other formats.
 * @throws StoreError
 */
export async function noReplica(
  cause: RestoreError,
  name: string,
  { store, layout }: OpenedStore,
  signal: AbortSignal,
  others: readonly string[] = [],
): Promise<RestoreError> {
  const names = (await listReplicas(store, layout, { signal })).map(displayName)
  for (const other of others) if (!names.includes(other)) names.push(other)
  const shown = names.slice(0, MAX_NAMES).join(', ')
  const hint =
    names.length === 0
      ? 'The store holds no database: check the URL given with -b.'
      : `Use one of: ${shown}${names.length > MAX_NAMES ? ', … (walsync list shows all)' : ''}.`
  const message = `There is no database "${name}" in ${store.description}.`
  return new RestoreError('NoReplica', message, { hint, cause })
}

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
