export * from './memory-container.ts'
export * from './memory-driver.ts'
export * from './memory-object-store.ts'
export * from './provider.ts'
