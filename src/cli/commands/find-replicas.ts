import { listReplicas } from '../../core/replica/list-replicas.ts'
import { isStoreError } from '../../core/store/index.ts'
import type { CommandContext } from '../command-context.ts'
import type { OpenedStore } from '../composition/open-store.ts'
import { OtherFormats } from './other-formats.ts'
import type { OtherReplica } from './other-replica.ts'

/** Everything that the URL given with `-b` holds. */
export interface FoundReplicas {
  /** Prefixes of the replicas of LTX files, in key order; empty text for the one at the URL itself. */
  readonly prefixes: readonly string[]
  /** The replicas of other formats; one may have the name of a replica of LTX files. */
  readonly others: readonly OtherReplica[]
}

/**
 * Finds all replicas under a URL. A folder that does not exist is an error, unless there are
 * databases of walsync 0.1 next to it.
 *
 * @throws StoreError
 */
export async function findReplicas(
  context: CommandContext,
  bucket: string,
  opened: OpenedStore,
): Promise<FoundReplicas> {
  const { store, layout } = opened
  const { signal } = context
  const others = await new OtherFormats(context, bucket, opened).list()
  try {
    return { prefixes: await listReplicas(store, layout, { signal }), others }
  } catch (error) {
    const isMissing = isStoreError(error) && error.code === 'ContainerNotFound'
    if (isMissing && others.length > 0) return { prefixes: [], others }
    throw error
  }
}
