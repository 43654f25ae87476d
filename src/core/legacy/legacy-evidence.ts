import type { ObjectStore } from '../store/index.ts'
import {
  type LegacyReplica,
  type LegacySnapshot,
  type LegacyState,
  readLegacyState,
} from './list-legacy.ts'
import { type ReadHistoryOptions, readHistory } from './read-history.ts'
import { checkSnapshot, type SnapshotCheck } from './snapshot-check.ts'
import type { WalHistory } from './wal-history.ts'

/** What is known of a replica of walsync 0.1, and how more is found out. */
export interface LegacyEvidence {
  readonly replica: LegacyReplica
  readonly history: WalHistory
  /** `undefined` if there is no readable one. */
  readonly state: LegacyState | undefined
  /** Holds a snapshot's pages against all frames and the snapshot before it. */
  checkAgainstOlder(snapshot: LegacySnapshot, pageSize: number): Promise<SnapshotCheck>
  /** The same, with the snapshot after it if there is none before it. */
  checkAgainstAny(snapshot: LegacySnapshot, pageSize: number): Promise<SnapshotCheck>
}

/**
 * Reads all segments of a replica and its state. Snapshots are read only when they are asked about.
 *
 * @param store rooted at the database's prefix
 * @throws StoreError; the signal's reason
 */
export async function gatherEvidence(
  store: ObjectStore,
  replica: LegacyReplica,
  options: ReadHistoryOptions,
): Promise<LegacyEvidence> {
  const { snapshots, segments } = replica
  const history = await readHistory(store, segments, options)
  const state = await readLegacyState(store, { signal: options.signal })
  const checks = new Map<string, Promise<SnapshotCheck>>()
  const check = (
    snapshot: LegacySnapshot,
    other: LegacySnapshot | undefined,
    size: number,
  ): Promise<SnapshotCheck> => {
    const id = `${snapshot.key} ${other?.key} ${size}`
    const made = checks.get(id) ?? checkSnapshot(store, history, snapshot, other, size, options)
    checks.set(id, made)
    return made
  }
  const neighbour = (snapshot: LegacySnapshot, step: 1 | -1): LegacySnapshot | undefined =>
    snapshots[snapshots.indexOf(snapshot) + step]
  return {
    replica,
    history,
    state,
    checkAgainstOlder: (snapshot, size) => check(snapshot, neighbour(snapshot, -1), size),
    checkAgainstAny: (snapshot, size) =>
      check(snapshot, neighbour(snapshot, -1) ?? neighbour(snapshot, 1), size),
  }
}
