export { CreateOnlyCheck } from '../replica/writer-claim/create-only-check.ts'
export * from './engine.ts'
export * from './events.ts'
export { SnapshotPolicy, type SnapshotProgress } from './snapshots/snapshot-policy.ts'
export {
  type TakenSnapshot,
  type TakeSnapshotOptions,
  takeSnapshot,
} from './snapshots/take-snapshot.ts'
export type { DatabaseStatus, TrackerOptions } from './tracker-options.ts'
export { WalTracker } from './wal-tracker.ts'
