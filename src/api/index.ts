/** The package `walsync`: replication beside this program, and everything of core. */
export * from '../core/index.ts'
export { type OpenedStore, type OpenStoreOptions, openStore } from './open-store.ts'
