/**
 * Everything of walsync that works in this process, by what a program does with it. `walsync` itself
 * exports it, beside the library that runs walsync in a process of its own (src/api).
 */

export { ExitCode, isWalsyncError, WalsyncError, type WalsyncErrorOptions } from './errors.ts'

// Operate: replicate databases, and look after their replicas.

export { CompactionError } from './compaction/diagnose-failure.ts'
export {
  type CompactionOptions,
  type CompactionStep,
  planCompaction,
} from './compaction/plan-compaction.ts'
export { type RunCompactionOptions, runCompaction } from './compaction/run-compaction.ts'
export { DatabaseError, type DatabaseErrorCode } from './db/database-error.ts'
export { Engine, type EngineDatabase, type EngineOptions } from './engine/engine.ts'
export {
  type EngineEvent,
  FencedError,
  type FencedErrorCode,
  type MaintenanceEvent,
} from './engine/events.ts'
export type { TrackerOptions } from './engine/options.ts'
export type { DatabaseStatus } from './engine/replication-status.ts'
export {
  DEFAULT_SNAPSHOT_TRIGGERS,
  type SnapshotTriggers,
} from './engine/snapshots/snapshot-policy.ts'
export {
  type TakenSnapshot,
  type TakeSnapshotOptions,
  takeSnapshot,
} from './engine/snapshots/take-snapshot.ts'
export type { MaintenanceOptions } from './engine/upkeep/replica-maintenance.ts'
export { type Repair, type RepairOptions, repairReplica } from './repair/repair-replica.ts'
export { CreateOnlyCheck } from './replica/writer-claim/create-only-check.ts'
export {
  type KeptPoint,
  planRetention,
  type RetentionBlock,
  type RetentionOptions,
  type RetentionPlan,
} from './retention/plan-retention.ts'
export { type PruneOptions, type PruneResult, pruneReplica } from './retention/prune-replica.ts'
export {
  DEFAULT_LEVELS,
  DEFAULT_RETENTION,
  type RetentionPolicy,
} from './retention/retention-policy.ts'

// Restore: bring a database back.

export type { RestoreProgress } from './restore/apply-plan.ts'
export type { IntegrityCheck } from './restore/integrity-check.ts'
export { type PointInTimeOptions, parsePointInTime } from './restore/point-in-time.ts'
export { type RestoreOptions, type RestoreResult, restoreReplica } from './restore/restore.ts'
export { planFor } from './restore/restore-attempts.ts'
export { RestoreError, type RestoreErrorCode, type RestorePoint } from './restore/restore-error.ts'
export {
  planRestore,
  planToJson,
  type RestorePlan,
  renderPlan,
} from './restore/restore-plan.ts'
export { parseTxidTarget, type RestoreTarget, renderTarget } from './restore/restore-target.ts'

// Inspect: what is in a store, and what it is worth.

export type { AssertionResult } from './drill/assertions.ts'
export { type Drill, drillFailures } from './drill/drill-replica.ts'
export { type Comparison, type TrialRestore, trialRestore } from './repair/trial-restore.ts'
export { listReplicas } from './replica/list-replicas.ts'
export {
  type LtxFileInfo,
  ReplicaClient,
  ReplicaError,
  type ReplicaErrorCode,
  type ReplicaListing,
} from './replica/replica-client.ts'
export { MAX_LEVEL } from './replica/replica-layout.ts'
export {
  type ReplicaSummary,
  summarizeReplica,
  type TxidRange,
} from './replica/summarize-replica.ts'
export type { StoreCapabilities } from './store/capabilities.ts'
export type { ObjectInfo, ObjectStore, Version } from './store/object-store.ts'
export { PrefixedStore } from './store/prefixed-store.ts'
export { type RaceOptions, type RaceReport, raceCreates } from './store/probe/probe-race.ts'
export type { ProbeCheck, ProbeReport } from './store/probe/probe-report.ts'
export { type ProbeOptions, probeStore } from './store/probe/probe-store.ts'
export type { ObjectStoreProvider } from './store/provider.ts'
export type { RetryOptions } from './store/retry/retry-policy.ts'
export { RetryingStore } from './store/retry/retrying-store.ts'
export { isStoreError, StoreError, type StoreErrorCode } from './store/store-error.ts'
export { withoutConditions } from './store/without-conditions.ts'
export {
  type VerifyMemory,
  type VerifyOptions,
  type VerifyProgress,
  verifyReplica,
} from './verify/verify-replica.ts'
export type {
  Defect,
  DefectCode,
  StateSpan,
  VerifyDepth,
  VerifyReport,
} from './verify/verify-report.ts'

// Formats: names and bytes, pure.

export {
  type CompactLtxOptions,
  compactLtx,
  decodeLtx,
  decodeLtxHeader,
  encodeLtx,
  formatTxid,
  isSnapshot,
  LtxDecoder,
  LtxEncoder,
  LtxError,
  type LtxErrorCode,
  type LtxHeader,
  type LtxPage,
  type LtxTrailer,
  lockPage,
  nextTxid,
  parseTxid,
  type TXID,
  txid,
} from './ltx/index.ts'
export {
  type LtxKey,
  levelFolder,
  ltxKey,
  parseLtxKey,
  type ReplicaLayout,
  replicaName,
  SNAPSHOT_LEVEL,
} from './replica/replica-layout.ts'
