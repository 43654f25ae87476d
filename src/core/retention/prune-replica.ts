import type { LtxFileInfo, ReplicaClient } from '../replica/replica-client.ts'
import type { DeleteFailure } from '../store/index.ts'
import { isFull } from './grace-period.ts'
import type { RetentionPlan } from './plan-retention.ts'

export interface PruneOptions {
  readonly signal?: AbortSignal | undefined
  /** Called before the first deletion and between batches; throws if this process may not delete any more. */
  readonly assertCurrent?: ((signal?: AbortSignal) => Promise<void>) | undefined
  /** Told of each batch what is gone, also if a later one fails. */
  readonly onDeleted?: ((files: readonly LtxFileInfo[]) => void) | undefined
}

export interface PruneResult {
  readonly deleted: readonly LtxFileInfo[]
  /** Objects that are still there, and why. The same plan, or a new one, tries them again. */
  readonly failures: readonly DeleteFailure[]
}

/** Keys of one batch: what one request of S3 takes. */
const BATCH = 1000

/**
 * Deletes what a plan removes. Whenever it ends, what the plan keeps can be restored. Newest
 * transactions go first and full copies last, so that what is left of the rest can be, too, and a
 * listing shows no gap that is none.
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
