export { type AssertionResult, checkAssertions } from './assertions.ts'
export {
  type Drill,
  type DrillOptions,
  drillFailures,
  drillReplica,
  isTooOld,
  type RefusedDrill,
  type RestoredDrill,
} from './drill-replica.ts'
export {
  type DrillEvent,
  type DrilledState,
  DrillSchedule,
  type DrillSettings,
  NO_DRILLS,
} from './drill-schedule.ts'
