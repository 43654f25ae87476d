import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import type { DeleteFailure } from '../store/index.ts'
import { isFull } from './grace-period.ts'
import type { RetentionPlan } from './plan-retention.ts'

export interface PruneOptions {
  readonly signal?: AbortSignal | undefined
  /** Called before each batch; throws if this process may no longer delete. */
  readonly assertCurrent?: ((signal?: AbortSignal) => Promise<void>) | undefined
  /** Called with the deleted files of each batch, even if a later batch fails. */
  readonly onDeleted?: ((files: readonly LtxFileInfo[]) => void) | undefined
}

export interface PruneResult {
  readonly deleted: readonly LtxFileInfo[]
  /**
   * Objects that could not be deleted, and why. Running the same plan or a new one retries them.
   */
  readonly failures: readonly DeleteFailure[]
}

/** Keys per batch: the limit of one S3 request. */
const BATCH = 1000

/**
 * Deletes the files that a plan removes. Whenever it stops, everything that the plan keeps can be
 * restored. The newest transactions are deleted first and full copies last, so that the remaining
 * files can be restored, too, and a listing never shows a false gap.
 *
 * @throws StoreError that is not about single objects; what `assertCurrent` throws; the signal's reason
 */
export async function pruneReplica(
  client: ReplicaClient,
  plan: Pick<RetentionPlan, 'remove'>,
  options: PruneOptions = {},
): Promise<PruneResult> {
  const { signal, assertCurrent, onDeleted } = options
  const order = plan.remove.toSorted(byTurn)
  const deleted: LtxFileInfo[] = []
  const failures: DeleteFailure[] = []
  for (let at = 0; at < order.length; at += BATCH) {
    signal?.throwIfAborted()
    await assertCurrent?.(signal)
    const batch = order.slice(at, at + BATCH)
    const failed = await client.delete(batch, { signal })
    const left = new Set(failed.map(({ key }) => key))
    const gone = batch.filter((file) => !left.has(file.key))
    deleted.push(...gone)
    failures.push(...failed)
    onDeleted?.(gone)
  }
  return { deleted, failures }
}

function byTurn(a: LtxFileInfo, b: LtxFileInfo): number {
  if (isFull(a) !== isFull(b)) return isFull(a) ? 1 : -1
  if (a.maxTxid !== b.maxTxid) return a.maxTxid > b.maxTxid ? -1 : 1
  return a.level - b.level
}
