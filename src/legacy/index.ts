export * from './grade-legacy.ts'
export * from './legacy-error.ts'
export * from './legacy-grade.ts'
export {
  type LegacyReplica,
  type LegacySegment,
  type LegacySnapshot,
  listLegacy,
} from './list-legacy.ts'
export type { LegacyReadOptions } from './open-legacy.ts'
export type { LegacyPlan } from './plan-legacy.ts'
export * from './restore-legacy.ts'
