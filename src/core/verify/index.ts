export {
  type VerifyMemory,
  type VerifyOptions,
  type VerifyProgress,
  verifyReplica,
} from './verify-replica.ts'
export type * from './verify-report.ts'
export { type VerifyEvent, VerifySchedule, type VerifyScheduleOptions } from './verify-schedule.ts'
