import type { SnapshotProgress } from '../engine/snapshots/snapshot-policy.ts'
import { type TakenSnapshot, takeSnapshot } from '../engine/snapshots/take-snapshot.ts'
import { ReplicaClient } from '../replica/replica-client.ts'
import type { ReplicaLayout } from '../replica/replica-layout.ts'
import type { ObjectStore } from '../store/index.ts'
import { type VerifyMemory, type VerifyProgress, verifyReplica } from '../verify/verify-replica.ts'
import type { VerifyReport } from '../verify/verify-report.ts'

export interface RepairOptions {
  /** Take a copy even if the newest state can be restored. Default false. */
  readonly force?: boolean | undefined
  /** Objects read at one time. Default 8. */
  readonly parallelism?: number | undefined
  /**
   * How long to wait for a running watcher to ship what the replica lacks, in milliseconds. Default
   * 3000.
   */
  readonly patienceMs?: number | undefined
  readonly onVerify?: ((progress: VerifyProgress) => void) | undefined
  readonly onSnapshot?: ((progress: SnapshotProgress) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Repair {
  readonly before: VerifyReport
  /** What was written, in order; empty if nothing had to be. */
  readonly taken: readonly TakenSnapshot[]
  /** `before` itself if nothing was written. */
  readonly after: VerifyReport
}

/**
 * Makes the newest state of a replica restorable again from its live database, even while a watcher
 * is running. Lost states stay lost, because the database no longer contains them. Nothing is
 * deleted or replaced, so that damaged objects can still be examined.
 *
 * A snapshot of the newest TXID is enough if all the damage is before it. If that very snapshot is
 * damaged, or the end of the replica cannot be read, a new base is stored under the next TXID, and
 * a snapshot of that state makes it reachable.
 *
 * @param store rooted at the replica's prefix
 * @throws RestoreError `NoReplica`; DatabaseError, StoreError, FencedError
 */
export async function repairReplica(
  name: string,
  path: string,
  store: ObjectStore,
  layout: ReplicaLayout,
  options: RepairOptions = {},
): Promise<Repair> {
  const { force = false, parallelism, patienceMs, onVerify, onSnapshot, signal } = options
  const client = new ReplicaClient(store, layout, { eitherLayout: true })
  const memory: VerifyMemory = new Map()
  const verify = (): Promise<VerifyReport> =>
    verifyReplica(client, { parallelism, memory, onProgress: onVerify, signal })
  const before = await verify()
  const taken: TakenSnapshot[] = []
  if (before.latest.restorable && !force) return { before, taken, after: before }
  let after = before
  for (const forceBase of [false, true]) {
    const snapshot = { forceBase, patienceMs, onProgress: onSnapshot, signal }
    taken.push(await takeSnapshot(name, path, store, client.layout, snapshot))
    after = await verify()
    if (after.latest.restorable) break
  }
  return { before, taken, after }
}
