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
