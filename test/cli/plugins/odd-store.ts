import { FileObjectStore } from '../../../src/backends/file/index.ts'
import {
  type ObjectStore,
  type ObjectStoreProvider,
  StoreError,
} from '../../../src/core/store/index.ts'

type Change = (inner: ObjectStore) => Partial<ObjectStore>

/** What the host of the URL makes of a folder. */
const ODD: Readonly<Record<string, Change>> = {
  sound: () => ({}),
  /** Declares create-only puts and overwrites. */
  liar: (inner) => ({
    put: (key, body, options) => inner.put(key, body, { ...options, ifAbsent: undefined }),
  }),
  /** Answers 501 to every conditional put, as some services do. */
  plain: (inner) => ({
    put: async (key, body, options) => {
      if (options?.ifAbsent === true || options?.ifMatch !== undefined) {
        const hint = 'The service knows no conditions; --no-fencing sends none.'
        throw new StoreError('Unsupported', `put of ${key}: 501`, { op: 'put', key, hint })
      }
      return await inner.put(key, body, options)
    },
  }),
  /** Says that it has none. */
  frank: (inner) => ({
    capabilities: { ...inner.capabilities, ifAbsent: 'none', ifMatch: 'none' },
  }),
  regional: (inner) => ({ capabilities: { ...inner.capabilities, consistency: 'same-region' } }),
  'no-delete': () => ({
    deleteMany: async function* (keys) {
      for await (const key of keys) yield { key, error: denied('delete', key) }
    },
  }),
  'no-put': () => ({
    put: async (key) => {
      throw denied('put', key)
    },
  }),
  /** Its clock is an hour behind. */
  slow: (inner) => ({
    get: async (key, options) => {
      const result = await inner.get(key, options)
      const lastModified = new Date(result.info.lastModified.getTime() - 3_600_000)
      return { ...result, info: { ...result.info, lastModified } }
    },
  }),
  /** Something before the store gives other bytes for what was put; all that it says of it is right. */
  garbling: (inner) => ({
    get: async (key, options) => {
      const result = await inner.get(key, options)
      const { body } = result
      return {
        ...result,
        body: (async function* () {
          for await (const chunk of body) yield chunk.map((byte) => byte ^ 1)
        })(),
      }
    },
  }),
  /** Looks, waits, and then writes: right for one call after the other. */
  racy: (inner) => ({
    put: async (key, body, options) => {
      if (options?.ifAbsent !== true) return await inner.put(key, body, options)
      if ((await inner.head(key)) !== undefined) {
        throw new StoreError('AlreadyExists', `${key}: 412`, { op: 'put', key })
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
      return await inner.put(key, body)
    },
  }),
  /** Compare-and-swap never succeeds. */
  stubborn: (inner) => ({
    put: async (key, body, options) => {
      if (options?.ifMatch === undefined) return await inner.put(key, body, options)
      throw new StoreError('PreconditionFailed', `${key}: 412`, { op: 'put', key })
    },
  }),
  /** Out of reach. */
  down: () => ({
    check: down,
    put: down,
    get: down,
    head: down,
    list: () => ({ [Symbol.asyncIterator]: () => ({ next: down }) }),
    listDir: () => ({ [Symbol.asyncIterator]: () => ({ next: down }) }),
  }),
}

/** `odd://what/folder`: a folder with one oddity. */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'odd-store',
  schemes: ['odd'],
  layout: 'ltx',
  async open(url) {
    const root = decodeURIComponent(url.pathname)
    const store = new FileObjectStore({ root, create: true })
    const change = ODD[url.host]!(store)
    return new Proxy<ObjectStore>(store, {
      get(target, name) {
        if (name in change) return Reflect.get(change, name)
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  },
}

function denied(op: string, key: string): StoreError {
  return new StoreError('PermissionDenied', `The credentials may not ${op} ${key}.`, { op, key })
}

async function down(): Promise<never> {
  throw new StoreError('Unavailable', 'The store does not answer.', { op: 'any' })
}
