import { type ObjectStoreProvider, PrefixedStore } from '../../core/store/index.ts'
import { MemoryContainer } from './memory-container.ts'
import { MemoryObjectStore } from './memory-object-store.ts'

const containers = new Map<string, MemoryContainer>()

/** `mem://name/prefix`: one container per name for the life of the process, made at first use. */
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
