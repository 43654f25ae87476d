export { type Repair, type RepairOptions, repairReplica } from './repair-replica.ts'
export type { Comparison, TrialOptions, TrialRestore } from './trial-restore.ts'
export { trialRestore } from './trial-restore.ts'
export {
  type VerifyMemory,
  type VerifyOptions,
  type VerifyProgress,
  verifyReplica,
} from './verify-replica.ts'
export type * from './verify-report.ts'
export { type VerifyEvent, VerifySchedule, type VerifyScheduleOptions } from './verify-schedule.ts'
