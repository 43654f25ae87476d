import type { Clock } from '../async/clock.ts'
import type { Limiter } from '../async/limiter.ts'
import type { Checkpointer, FolderWatch } from '../db/index.ts'
import type { DrillSettings } from '../drill/index.ts'
import type { RetentionPolicy } from '../retention/retention-policy.ts'
import type { EngineEvent } from './events.ts'
import type { IdlePool } from './idle/idle-pool.ts'
import type { SnapshotTriggers } from './snapshots/snapshot-policy.ts'

/** Enough for a user's clicks, and for a request that commits several times. */
export const DEFAULT_SYNC_BURST = 10

/** One database and how to replicate it. Times in milliseconds, sizes in bytes. */
export interface TrackerOptions {
  /** Name of the replica, for events and errors. */
  readonly name: string
  readonly path: string
  /** Under continuous writes, one object is stored per interval. Default 1000. */
  readonly syncIntervalMs?: number | undefined
  /**
   * How many objects may be stored in quick succession after a pause; one more is allowed for each
   * interval that passes. Default `DEFAULT_SYNC_BURST`.
   */
  readonly syncBurst?: number | undefined
  /** How often to look for commits when no file event arrives. Default 1000. */
  readonly pollIntervalMs?: number | undefined
  /** Default `DEFAULT_SNAPSHOT_TRIGGERS`. */
  readonly snapshots?: SnapshotTriggers | undefined
  /** Intervals of the compaction levels 1, 2, 3 and so on; an empty list disables compaction. Default `DEFAULT_LEVELS`. */
  readonly levels?: readonly number[] | undefined
  /** What to keep; `none` never deletes an object. Default `DEFAULT_RETENTION`. */
  readonly retention?: RetentionPolicy | 'none' | undefined
  /** How often to verify the replica; 0 disables it. Default 0. */
  readonly verifyIntervalMs?: number | undefined
  /** Default: no restore drills. */
  readonly drill?: DrillSettings | undefined
  /** When the last drill of an earlier process ended, in milliseconds since 1970. Default: there was none. */
  readonly lastDrillAt?: number | undefined
  /**
   * `newest`: the newest writer wins and the older one is fenced; `strict`: refuses to start while
   * another claim is unreleased; `none`: no claims, for stores without conditional writes. Default
   * `newest`.
   */
  readonly singleWriter?: 'newest' | 'strict' | 'none' | undefined
  /** Name of the lock by which writers of this very file hand over (`HandOverLock`). Default: none. */
  readonly handOverLock?: string | undefined
  /** Upper bound for the WAL, as long as the application does not hold a transaction open. Default 64 MiB. */
  readonly maxWalBytes?: number | undefined
  /** Folder for files that wait while the store is unreachable. Default `.<file>-walsync` next to the database. */
  readonly spoolDir?: string | undefined
  /** Upper bound for that folder; beyond it the WAL grows. Default 1 GiB. */
  readonly maxSpoolBytes?: number | undefined
}

export interface EngineLimits {
  /** Uploads of whole databases. */
  readonly fullCopy: Limiter
  /** Starts: finding the end of a replica, or storing its first file. */
  readonly start: Limiter
  /** Compaction and retention. */
  readonly maintenance: Limiter
  readonly verify: Limiter
  readonly drill: Limiter
}

/** Shared by the trackers of one process. */
export interface EngineContext {
  readonly checkpointer: Checkpointer
  /** How many databases may do the same expensive work at once. */
  readonly limits: EngineLimits
  readonly idlePool: IdlePool
  readonly folders: FolderWatch
  readonly onEvent: (event: EngineEvent) => void
  /** Names of the databases that are failing now. */
  readonly failing: Set<string>
  /** Identifies this process in the files it writes: 32 bits, not 0. */
  readonly nodeId: bigint
  readonly bootId: number
  readonly clock: Clock
}
