export type * from './faults.ts'
export type * from './harness.ts'
