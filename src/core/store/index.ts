export type * from './capabilities.ts'
export * from './key.ts'
export type * from './object-store.ts'
export * from './store-error.ts'
