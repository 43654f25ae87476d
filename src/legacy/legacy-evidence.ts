import type { ObjectStore } from '../core/store/index.ts'
import {
  type LegacyReplica,
  type LegacySnapshot,
  type LegacyState,
  readLegacyState,
} from './list-legacy.ts'
import { type ReadHistoryOptions, readHistory } from './read-history.ts'
import { readPage, readSnapshot, type SnapshotContents } from './snapshot-contents.ts'
import type { WalHistory } from './wal-history.ts'

/** What is known about a replica of walsync 0.1, and how to find out more. */
export interface LegacyEvidence {
  readonly replica: LegacyReplica
  readonly history: WalHistory
  /** `undefined` if there is none that can be read. */
  readonly state: LegacyState | undefined
  /** Reads a snapshot on the first call for it. */
  contentsOf(snapshot: LegacySnapshot, pageSize: number): Promise<SnapshotContents>
  /** CRC-64 of one page of a snapshot; `undefined` if it has no such page. */
  pageOf(snapshot: LegacySnapshot, pgno: number, pageSize: number): Promise<bigint | undefined>
}

/**
 * Reads all segments of a replica and its state. Snapshots are read only when needed.
 *
 * @param store rooted at the database's prefix
 * @throws StoreError; the signal's reason
 */
export async function gatherEvidence(
  store: ObjectStore,
  replica: LegacyReplica,
  options: ReadHistoryOptions,
): Promise<LegacyEvidence> {
  const history = await readHistory(store, replica.segments, options)
  const state = await readLegacyState(store, { signal: options.signal })
  const contents = new Map<string, Promise<SnapshotContents>>()
  return {
    replica,
    history,
    state,
    contentsOf(snapshot, pageSize) {
      const id = `${snapshot.key} ${pageSize}`
      const found = contents.get(id) ?? readSnapshot(store, snapshot, pageSize, options)
      contents.set(id, found)
      return found
    },
    pageOf: (snapshot, pgno, pageSize) => readPage(store, snapshot, pgno, pageSize, options),
  }
}

/** The snapshot before, or after, another one. */
export function neighbourOf(
  { replica: { snapshots } }: LegacyEvidence,
  snapshot: LegacySnapshot,
  step: 1 | -1,
): LegacySnapshot | undefined {
  return snapshots[snapshots.indexOf(snapshot) + step]
}
