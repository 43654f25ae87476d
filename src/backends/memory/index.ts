import { DriverStore, type ObjectStoreProvider, PrefixedStore } from '../../core/store/index.ts'
import { MemoryContainer } from './memory-container.ts'
import { MemoryDriver } from './memory-driver.ts'

export * from './memory-container.ts'
export * from './memory-driver.ts'

const containers = new Map<string, MemoryContainer>()

/**
 * `mem://name/prefix`: one container per name for the life of the process, created on first use.
 */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'memory',
  schemes: ['mem'],
  layout: 'ltx',
  async open(url) {
    let container = containers.get(url.host)
    if (container === undefined) {
      container = new MemoryContainer()
      containers.set(url.host, container)
    }
    const store = new MemoryObjectStore(container, url.host)
    const prefix = url.pathname.replace(/^\/+|\/+$/g, '')
    return prefix === '' ? store : new PrefixedStore(store, prefix)
  },
}

/**
 * Objects in the memory of this process: the reference for the contract, and a store for tests.
 * Nothing survives the process.
 */
export class MemoryObjectStore extends DriverStore {
  /** @param container stores that share one see the same objects; default: a new one */
  constructor(container: MemoryContainer = new MemoryContainer(), name = '') {
    super(new MemoryDriver(container, name))
  }
}
