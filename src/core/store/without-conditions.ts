import type { ObjectStore } from './object-store.ts'

/**
 * The same store, declared to have no conditional writes: callers check first and send no
 * condition. For services that answer `If-None-Match` with 501. Two writers can overwrite each
 * other there.
 */
export function withoutConditions(store: ObjectStore): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (name === 'capabilities') {
        return { ...target.capabilities, ifAbsent: 'none', ifMatch: 'none', deleteIfMatch: 'none' }
      }
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
