export { type Repair, type RepairOptions, repairReplica } from './repair-replica.ts'
export type { Comparison, TrialOptions, TrialRestore } from './trial-restore.ts'
export { trialRestore } from './trial-restore.ts'
