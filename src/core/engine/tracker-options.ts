import type { Checkpointer } from '../db/index.ts'
import type { EngineEvent } from './events.ts'

/** One database and how to replicate it. Times in milliseconds, sizes in bytes. */
export interface TrackerOptions {
  /** Name of the replica, for events and errors. */
  readonly name: string
  readonly path: string
  /** While writes go on, at most one object per interval. Default 1000. */
  readonly syncIntervalMs?: number | undefined
  /** How often to look when no file event comes. Default 1000. */
  readonly pollIntervalMs?: number | undefined
  /** Least time between two snapshots; 0 takes only the first. Default 3,600,000. */
  readonly snapshotIntervalMs?: number | undefined
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
  readonly onEvent: (event: EngineEvent) => void
  /** Identifies this process in the files that it writes. */
  readonly nodeId: bigint
  readonly bootId: number
}

export interface DatabaseStatus {
  readonly name: string
  readonly path: string
  readonly state: 'starting' | 'waiting' | 'replicating' | 'behind' | 'fenced' | 'stopped'
  /** Newest TXID in the store. */
  readonly txid: bigint | undefined
  readonly lastSyncAt: Date | undefined
  /** Files that have a TXID and are not in the store. */
  readonly pendingFiles: number
  readonly walBytes: number
  readonly spoolBytes: number
  readonly lastError: string | undefined
}
