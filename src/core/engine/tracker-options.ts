import type { Checkpointer, FolderWatch } from '../db/index.ts'
import type { TXID } from '../ltx/index.ts'
import type { RetentionPolicy } from '../retention/retention-policy.ts'
import type { EngineEvent } from './events.ts'
import type { Residency } from './idle/idle-pool.ts'
import type { SnapshotTriggers } from './snapshots/snapshot-triggers.ts'

/** One database and how to replicate it. Times in milliseconds, sizes in bytes. */
export interface TrackerOptions {
  /** Name of the replica, for events and errors. */
  readonly name: string
  readonly path: string
  /** While writes go on, at most one object per interval. Default 1000. */
  readonly syncIntervalMs?: number | undefined
  /** How often to look when no file event comes. Default 1000. */
  readonly pollIntervalMs?: number | undefined
  /** Default `DEFAULT_SNAPSHOT_TRIGGERS`. */
  readonly snapshots?: SnapshotTriggers | undefined
  /** Intervals of the compaction levels 1, 2, 3 …; none: no compaction. Default `DEFAULT_LEVELS`. */
  readonly levels?: readonly number[] | undefined
  /** Default `DEFAULT_RETENTION`; `none` never deletes an object. */
  readonly retention?: RetentionPolicy | 'none' | undefined
  /** How often the replica is verified; 0: never. Default 0. */
  readonly verifyIntervalMs?: number | undefined
  /**
   * `newest`: the newest writer wins and the older one ends; `strict`: refuses to start while
   * another's claim stands; `none`: no claims, for stores without conditional writes. Default `newest`.
   */
  readonly lease?: 'newest' | 'strict' | 'none' | undefined
  /** The WAL is kept under this, unless the application holds a reader or a transaction open. Default 64 MiB. */
  readonly maxWalBytes?: number | undefined
  /** Folder for files that wait while the store is away. Default `.<file>-walsync` beside the database. */
  readonly spoolDir?: string | undefined
  /** Bound of that folder; beyond it the WAL grows. Default 1 GiB. */
  readonly maxSpoolBytes?: number | undefined
}

/** What a tracker shares with the others of its process. */
export interface TrackerContext {
  readonly checkpointer: Checkpointer
  /** Runs uploads of whole databases, a bounded number at a time. */
  readonly heavy: <T>(work: () => Promise<T>) => Promise<T>
  /** Runs the start of replicas, a bounded number at a time. */
  readonly starting: <T>(work: () => Promise<T>) => Promise<T>
  /** Runs the upkeep of replicas, and their verification, a bounded number at a time. */
  readonly maintaining: <T>(work: () => Promise<T>) => Promise<T>
  readonly verifying: <T>(work: () => Promise<T>) => Promise<T>
  readonly residency: Residency
  readonly folders: FolderWatch
  readonly onEvent: (event: EngineEvent) => void
  /** Names of the databases that have a failure now. */
  readonly failing: Set<string>
  /** 32 bits, not 0, that identify this process in the files that it writes. */
  readonly nodeId: bigint
  readonly bootId: number
}

export interface DatabaseStatus {
  readonly name: string
  readonly path: string
  readonly state: 'starting' | 'waiting' | 'replicating' | 'behind' | 'fenced' | 'stopped'
  /** False while it rests or is not there: nothing of it is held open. */
  readonly isOpen: boolean
  /** Newest TXID in the store. */
  readonly txid: bigint | undefined
  readonly lastSyncAt: Date | undefined
  /** Files that have a TXID and are not in the store. */
  readonly pendingFiles: number
  readonly walBytes: number
  readonly spoolBytes: number
  /** The worst failure that is not over, of uploads, snapshots, upkeep or the database itself. */
  readonly lastError: string | undefined
  /** Since when that has failed. */
  readonly errorSince: Date | undefined
  /** Since when a database that was replicated has been missing or empty. */
  readonly waitingSince: Date | undefined
  /** For how long the oldest change that is known and not in the store has waited, in milliseconds; 0 for none. */
  readonly lagMs: number
  /** Of the replica, as this process knows it. */
  readonly replicaFiles: number
  readonly replicaBytes: number
  /** First and last state that can be restored; `undefined` before the replica is known, or if there is none. */
  readonly restorable: { readonly from: RestorablePoint; readonly to: RestorablePoint } | undefined
}

export interface RestorablePoint {
  readonly txid: TXID
  readonly time: Date
}
