export { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
export * from './engine.ts'
export {
  type EngineEvent,
  FencedError,
  type FencedErrorCode,
  type MaintenanceEvent,
  type Work,
} from './events.ts'
export type { TrackerOptions } from './options.ts'
export type { DatabaseStatus, DatedRestorePoint } from './replication-status.ts'
export {
  DEFAULT_SNAPSHOT_TRIGGERS,
  SnapshotPolicy,
  type SnapshotProgress,
  type SnapshotTriggers,
} from './snapshots/snapshot-policy.ts'
export {
  type TakenSnapshot,
  type TakeSnapshotOptions,
  takeSnapshot,
} from './snapshots/take-snapshot.ts'
export { WalTracker } from './wal-tracker.ts'
