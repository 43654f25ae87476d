import type { RestoreTarget } from '../core/restore/restore-target.ts'
import type { ObjectStore } from '../core/store/index.ts'
import { type LegacyReadOptions, nothing, openLegacy } from './open-legacy.ts'
import { type LegacyPlan, legacyPlans } from './plan-legacy.ts'

export interface LegacyReport {
  /** What a restore would try first, and how good the result would be. */
  readonly plan: LegacyPlan
  readonly snapshots: number
  readonly segments: number
  /** Lifetimes of the WAL whose beginning was stored. */
  readonly runs: number
}

/**
 * Grades a replica of walsync 0.1 by its log: every segment is read and every checksum verified.
 * Creates no database, so SQLite's own check is left to `restoreLegacy`, which tries another plan
 * if SQLite finds the result corrupt.
 *
 * @param name Where the replica is in the store, without a slash at the end; empty for the root.
 * @param target Default: the latest state.
 * @throws LegacyError `NoTxids`, `NothingToRestore`, `TargetNotReachable`
 * @throws StoreError; the signal's reason
 */
export async function gradeLegacy(
  store: ObjectStore,
  name: string,
  target: RestoreTarget = { kind: 'latest' },
  options: LegacyReadOptions = {},
): Promise<LegacyReport> {
  const { evidence, until } = await openLegacy(store, name, target, options)
  for await (const plan of legacyPlans(evidence, until)) {
    const { snapshots, segments } = evidence.replica
    const runs = evidence.history.runs.length
    return { plan, snapshots: snapshots.length, segments: segments.length, runs }
  }
  throw nothing('There is no snapshot, and no part of the log contains every page.')
}
