import { FileObjectStore } from '../../../src/backends/file/index.ts'
import type {
  CallOptions,
  ObjectStore,
  ObjectStoreProvider,
} from '../../../src/core/store/index.ts'

/**
 * `stuck:///folder`: a folder that takes full copies, never finishes to store a change, and gives no object back.
 * With `?only=late` it gives back every object but those of the replica `late`.
 */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'stuck-store',
  schemes: ['stuck'],
  layout: 'ltx',
  async open(url) {
    const root = decodeURIComponent(url.pathname)
    const only = url.searchParams.get('only') ?? ''
    const store = new FileObjectStore({ root, create: true })
    return new Proxy<ObjectStore>(store, {
      get(target, name) {
        if (name === 'put') return put
        if (name === 'get')
          return (...[key, options]: Parameters<ObjectStore['get']>) =>
            key.startsWith(only) ? never(options) : store.get(key, options)
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })

    function put(...args: Parameters<ObjectStore['put']>): ReturnType<ObjectStore['put']> {
      const [key, , options] = args
      if (!key.includes('/0/')) return store.put(...args)
      return never(options)
    }
  },
}

function never(options: CallOptions | undefined): Promise<never> {
  const { signal } = options ?? {}
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
}
