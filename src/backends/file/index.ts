export * from './file-object-store.ts'
export type { FileStoreOptions } from './file-options.ts'
export * from './provider.ts'
