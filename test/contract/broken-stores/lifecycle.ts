import { isStoreError, type ObjectStore, StoreError } from '../../../src/core/store/index.ts'
import { altered, type BrokenStore, once } from './broken-store.ts'
import { collect } from './lists.ts'

export const brokenLifecycles: readonly BrokenStore[] = [
  {
    name: 'ignores the signal',
    caughtBy: ['AB01', 'AB02', 'AB03', 'AB06', 'AB07', 'AB11'],
    make: (inner) => withSignal(inner, () => undefined),
  },
  {
    name: 'rejects an abort with an error of its own',
    caughtBy: ['AB01', 'AB02', 'AB03', 'AB06', 'AB07', 'AB11'],
    make: (inner) =>
      withSignal(inner, (signal) => {
        if (signal === undefined) return undefined
        const own = new AbortController()
        const abort = () => own.abort(new Error('AbortError: Request aborted'))
        if (signal.aborted) abort()
        signal.addEventListener('abort', abort)
        return own.signal
      }),
  },
  {
    name: 'leaves a listener on the signal for each call',
    caughtBy: ['AB09'],
    make: (inner) =>
      withSignal(inner, (signal) => {
        signal?.addEventListener('abort', () => {})
        return signal
      }),
  },
  {
    name: 'answers an abort without closing the source',
    caughtBy: ['AB03'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) =>
          inner.put(
            key,
            body instanceof Uint8Array
              ? body
              : {
                  size: body.size,
                  open: () => {
                    const items = body.open()
                    const it =
                      Symbol.asyncIterator in items
                        ? items[Symbol.asyncIterator]()
                        : items[Symbol.iterator]()
                    return { [Symbol.asyncIterator]: () => ({ next: async () => it.next() }) }
                  },
                },
            o,
          ),
      }),
  },
  {
    name: 'waits out the pause before a retry in spite of an abort',
    caughtBy: ['AB08'],
    ground: 'retry',
    make: (inner) =>
      altered(inner, {
        head: async (key, o) => {
          const info = await inner.head(key).catch((error: unknown) => error)
          o?.signal?.throwIfAborted()
          if (info instanceof Error) throw info
          return info as undefined
        },
      }),
  },
  {
    name: 'leaves half an object when an abort races the commit',
    caughtBy: ['AB05'],
    ground: 'faults',
    make: (inner, container) =>
      altered(inner, {
        put: (key, body, o) =>
          inner.put(key, body, o).catch((error) => {
            if (o?.signal?.aborted) container.set(key, new Uint8Array(10), undefined)
            throw error
          }),
      }),
  },
  {
    name: 'cannot be closed twice',
    caughtBy: ['CL01'],
    make: (inner) => {
      let closed = false
      return altered(inner, {
        close: async () => {
          if (closed) throw new Error('already closed')
          closed = true
          await inner.close()
        },
      })
    },
  },
  {
    name: 'is not closed by `await using`',
    caughtBy: ['CL01'],
    make: (inner) => altered(inner, { [Symbol.asyncDispose]: async () => {} }),
  },
  {
    name: 'works after close',
    caughtBy: ['CL02', 'CL03'],
    make: (inner) => altered(inner, { close: async () => {} }),
  },
  {
    name: 'waits in close for what never ends',
    caughtBy: ['CL03'],
    make: (inner) => {
      const running = new Set<Promise<unknown>>()
      return altered(inner, {
        put: (key, body, o) => {
          const put = inner.put(key, body, o)
          running.add(put)
          put.finally(() => running.delete(put)).catch(() => {})
          return put
        },
        close: async () => {
          await Promise.allSettled(running)
          await inner.close()
        },
      })
    },
  },
  (() => {
    const clients = new Map<unknown, Set<ObjectStore>>()
    return {
      name: 'closes all clients with one',
      caughtBy: ['CL05'],
      make: (inner, container) => {
        const siblings = clients.get(container) ?? new Set()
        clients.set(container, siblings.add(inner))
        return altered(inner, {
          close: async () => {
            await Promise.all([...siblings].map((store) => store.close()))
          },
        })
      },
    } satisfies BrokenStore
  })(),
  {
    name: 'shows a secret in its description',
    caughtBy: ['ER03'],
    make: (inner) => altered(inner, { description: `${inner.description}?key=s3cr3t-of-tests` }),
  },
  {
    name: 'throws for a missing key in delete',
    caughtBy: ['DL02', 'DL03', 'DL04', 'PG17', 'AB09'],
    make: (inner) =>
      altered(inner, {
        delete: async (key, o) => {
          if (!(await inner.head(key, o))) throw refused('NotFound', key)
          await inner.delete(key, o)
        },
        deleteMany: async function* (keys, o) {
          for await (const failure of inner.deleteMany(keys, o)) yield failure
          yield { key: 'x', error: refused('NotFound', 'x') }
        },
      }),
  },
  {
    name: 'only hides what is deleted from head',
    caughtBy: ['DL01', 'LS20', 'LS22', 'PG24', 'CD03'],
    make: (inner) => {
      const gone = new Set<string>()
      return altered(inner, {
        delete: async (key) => {
          gone.add(key)
        },
        put: (key, body, o) => {
          gone.delete(key)
          return inner.put(key, body, o)
        },
        head: async (key, o) => (gone.has(key) ? undefined : inner.head(key, o)),
      })
    },
  },
  {
    name: 'deletes all keys that begin like the given one',
    caughtBy: ['DL03', 'PG17', 'KY05'],
    make: (inner) =>
      altered(inner, {
        delete: async (key, o) => {
          await inner.delete(key, o)
          for await (const info of inner.list({ prefix: key })) await inner.delete(info.key)
        },
      }),
  },
  {
    name: 'sends only the first batch of deleteMany',
    caughtBy: ['DL05'],
    make: (inner) =>
      altered(inner, {
        deleteMany: async function* (keys, o) {
          const all: string[] = []
          for await (const key of keys) all.push(key)
          yield* inner.deleteMany(all.slice(0, 1000), o)
        },
      }),
  },
  {
    name: 'collects all keys before it deletes any',
    caughtBy: ['DL06', 'AB11'],
    make: (inner) =>
      altered(inner, {
        deleteMany: async function* (keys, o) {
          const all: string[] = []
          for await (const key of keys) {
            all.push(key)
            if (all.length > 20_000) throw new Error('out of memory')
          }
          yield* inner.deleteMany(all, o)
        },
      }),
  },
  {
    name: 'throws in deleteMany for one bad key',
    caughtBy: ['DL09', 'KY02', 'DL08'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        deleteMany: (keys, o) =>
          once(async () => {
            for await (const failure of inner.deleteMany(keys, o)) throw failure.error
          }),
      }),
  },
  {
    name: 'does not read the failures in the answer to a batch',
    caughtBy: ['DL08', 'DL09', 'DL06'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        deleteMany: (keys, o) =>
          once(async () => {
            await collect(inner.deleteMany(keys, o))
          }),
      }),
  },
  {
    name: 'reports missing keys as failures of deleteMany',
    caughtBy: ['DL04'],
    make: (inner) =>
      altered(inner, {
        deleteMany: async function* (keys, o) {
          const all: string[] = []
          for await (const key of keys) all.push(key)
          for (const key of all) {
            if (!(await inner.head(key).catch(() => undefined))) {
              yield { key, error: refused('NotFound', key) }
            }
          }
          yield* inner.deleteMany(all, o)
        },
      }),
  },
  {
    name: 'asks the service before it looks at the arguments',
    caughtBy: ['AB01', 'KY02', 'RG06', 'CD13', 'DL07', 'ER08'],
    ground: 'faults',
    make: (inner) => {
      const ask = async () => {
        await inner.check().catch(() => {})
      }
      return altered(inner, {
        put: async (key, body, o) => ask().then(() => inner.put(key, body, o)),
        get: async (key, o) => ask().then(() => inner.get(key, o)),
        head: async (key, o) => ask().then(() => inner.head(key, o)),
        deleteMany: async function* (keys, o) {
          await ask()
          yield* inner.deleteMany(keys, o)
        },
      })
    },
  },
  {
    name: 'normalises keys as paths',
    caughtBy: ['KY02'],
    make: (inner) => {
      const path = (key: string) => new URL(key, 'http://x/').pathname.slice(1)
      return altered(inner, {
        put: (key, body, o) => inner.put(path(key), body, o),
        get: (key, o) => inner.get(path(key), o),
        head: async (key, o) => inner.head(path(key), o),
      })
    },
  },
  {
    name: 'folds the case of keys',
    caughtBy: ['KY01', 'KY03', 'KY06', 'LS02'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) => inner.put(key.toLowerCase(), body, o),
        get: (key, o) => inner.get(key.toLowerCase(), o),
        head: (key, o) => inner.head(key.toLowerCase(), o),
        delete: (key, o) => inner.delete(key.toLowerCase(), o),
      }),
  },
  {
    name: 'loses the object when a key below it is put',
    caughtBy: ['KY05'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, o) => {
          const slash = key.lastIndexOf('/')
          if (slash > 0) await inner.delete(key.slice(0, slash))
          return inner.put(key, body, o)
        },
      }),
  },
  {
    name: 'says that it is a tree, and takes a key below another all the same',
    caughtBy: ['KY09'],
    make: (inner) =>
      altered(inner, { capabilities: { ...inner.capabilities, flatNamespace: false } }),
  },
  {
    name: 'hides keys that end like its temporary names',
    caughtBy: ['KY07'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          for await (const info of inner.list(o)) if (!info.key.endsWith('.tmp')) yield info
        },
      }),
  },
  {
    name: 'breaks for a prefix that is no path',
    caughtBy: ['KY08'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          if (o?.prefix?.includes('..')) throw new Error('ENOENT')
          yield* inner.list(o)
        },
      }),
  },
  {
    name: 'takes errors for nothing',
    caughtBy: ['CD02', 'PG13', 'PG14', 'ER05'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) =>
          inner.put(key, body, o).catch((error) => {
            o?.signal?.throwIfAborted()
            if (isStoreError(error) && error.code === 'InvalidKey') throw error
            return { size: 0, version: 'x' as never }
          }),
      }),
  },
]

function withSignal(
  inner: ObjectStore,
  change: (signal: AbortSignal | undefined) => AbortSignal | undefined,
): ObjectStore {
  const changed = <T extends { readonly signal?: AbortSignal | undefined }>(o: T | undefined) =>
    ({ ...o, signal: change(o?.signal) }) as T
  return altered(inner, {
    check: (o) => inner.check(changed(o)),
    put: (key, body, o) => inner.put(key, body, changed(o)),
    get: (key, o) => inner.get(key, changed(o)),
    head: (key, o) => inner.head(key, changed(o)),
    list: (o) => inner.list(changed(o)),
    listDir: (o) => inner.listDir(changed(o)),
    delete: (key, o) => inner.delete(key, changed(o)),
    deleteMany: (keys, o) => inner.deleteMany(keys, changed(o)),
  })
}

function refused(code: 'NotFound', key: string): StoreError {
  return new StoreError(code, `There is no object ${key}.`, { op: 'delete', key })
}
