import { FileObjectStore } from '../../../src/backends/file/index.ts'
import type { ObjectStore, ObjectStoreProvider } from '../../../src/core/store/index.ts'

/** `stuck:///folder`: a folder that takes full copies, and never finishes to store a change. */
export const provider: ObjectStoreProvider = {
  apiVersion: 1,
  name: 'stuck-store',
  schemes: ['stuck'],
  layout: 'ltx',
  async open(url) {
    const root = decodeURIComponent(url.pathname)
    const store = new FileObjectStore({ root, create: true })
    return new Proxy<ObjectStore>(store, {
      get(target, name) {
        if (name === 'put') return put
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })

    function put(...args: Parameters<ObjectStore['put']>): ReturnType<ObjectStore['put']> {
      const [key, , options] = args
      if (!key.includes('/0/')) return store.put(...args)
      return new Promise((_resolve, reject) => {
        const { signal } = options ?? {}
        signal?.addEventListener('abort', () => reject(signal.reason))
      })
    }
  },
}
