import { listReplicas } from '../../core/replica/list-replicas.ts'
import { RestoreError } from '../../core/restore/restore-error.ts'
import type { OpenedStore } from '../composition/open-store.ts'
import { displayName, prefixOf } from './replica-names.ts'
import { UsageError } from './usage-error.ts'

/** A replica as the command line names it. */
export interface NamedReplica {
  readonly name: string
  /** Under the URL, without a slash at the end. */
  readonly prefix: string
}

/**
 * The replicas that `NAME...` or `--all` mean, each once. Names are not looked up.
 *
 * @throws UsageError for neither or both
 * @throws RestoreError `NoReplica` for `--all` of a store without replicas: an empty store must not
 *   look like one in which all is well
 * @throws StoreError
 */
export async function selectReplicas(
  names: readonly string[],
  all: boolean,
  { store, layout }: OpenedStore,
  signal: AbortSignal,
): Promise<NamedReplica[]> {
  if (names.length > 0 && all) {
    throw new UsageError('--all means every replica, and names were given too.', 'Leave one out.')
  }
  if (!all) {
    if (names.length === 0) {
      throw new UsageError('No replica was named.', 'Give names, or --all for every replica.')
    }
    return [...new Set(names)].map((name) => ({ name, prefix: prefixOf(name) }))
  }
  const prefixes = await listReplicas(store, layout, { signal })
  if (prefixes.length === 0) {
    throw new RestoreError('NoReplica', `No databases in ${store.description}.`, {
      hint: 'Check the URL given with -b.',
    })
  }
  return prefixes.map((prefix) => ({ name: displayName(prefix), prefix }))
}
