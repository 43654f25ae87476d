export { FencingProof } from '../replica/epoch-proof.ts'
export * from './engine.ts'
export * from './events.ts'
export { SnapshotPolicy, type SnapshotProgress } from './snapshot-policy.ts'
export {
  type TakenSnapshot,
  type TakeSnapshotOptions,
  takeSnapshot,
} from './take-snapshot.ts'
export type { DatabaseStatus, TrackerOptions } from './tracker-options.ts'
export { WalTracker } from './wal-tracker.ts'
