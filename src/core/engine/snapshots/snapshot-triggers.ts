/** When a replica gets a further full copy of its database. A copy that would add nothing is never taken. */
export interface SnapshotTriggers {
  /** Least time between two snapshots, in milliseconds, if anything changed; 0: not by time. Default 24 hours. */
  readonly intervalMs: number
  /** After this many pages were shipped since the newest snapshot. */
  readonly afterPages?: number | undefined
  /** After this many bytes were shipped since the newest snapshot. */
  readonly afterBytes?: number | undefined
  /** When nothing was committed for this long, in milliseconds. */
  readonly onIdleMs?: number | undefined
  /** When replication starts. Default false. */
  readonly atStart?: boolean | undefined
}

export const DEFAULT_SNAPSHOT_TRIGGERS: SnapshotTriggers = { intervalMs: 24 * 3_600_000 }
