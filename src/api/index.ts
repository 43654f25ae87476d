/** The package `walsync`: replication next to this program, and all of core. */
export * from '../core/index.ts'
export { type OpenedStore, type OpenStoreOptions, openStore } from './open-store.ts'
export type {
  Replica,
  ReplicaEvent,
  ReplicaListeners,
  ReplicaState,
  ReplicaStatus,
  SyncedState,
  WaitOptions,
} from './replica.ts'
export { type ReplicateOptions, replicate } from './replicate.ts'
export { ReplicationError, type ReplicationErrorCode } from './replication-error.ts'
export { type RestoreIfMissingOptions, restoreIfMissing } from './restore-if-missing.ts'
export type { ProcessOptions } from './walsync-process.ts'
