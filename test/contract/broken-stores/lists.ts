import { setTimeout as sleep } from 'node:timers/promises'
import { foldDirs } from '../../../src/core/store/driver/driver-store.ts'
import type {
  DirEntry,
  ListOptions,
  ObjectInfo,
  ObjectStore,
} from '../../../src/core/store/index.ts'
import { altered, type BrokenStore } from './broken-store.ts'

const PAGE = 100

export const brokenLists: readonly BrokenStore[] = [
  {
    name: 'lists without an order',
    caughtBy: ['LS02', 'LS08', 'LS09', 'LS14'],
    make: (inner) => listed(inner, (infos) => infos.reverse()),
  },
  {
    name: 'orders as people do, not by bytes',
    caughtBy: ['LS02'],
    make: (inner) => listed(inner, (infos) => infos.sort((a, b) => a.key.localeCompare(b.key))),
  },
  {
    name: 'orders by path segment',
    caughtBy: ['LS02', 'LS18'],
    make: (inner) =>
      listed(inner, (infos) => {
        const rank = (info: ObjectInfo) => info.key.replaceAll('/', '\0')
        return infos.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
      }),
  },
  {
    name: 'stops after the first page',
    caughtBy: ['LS09', 'LS10', 'LS11', 'LS12', 'LS13', 'LS14', 'LS19'],
    make: (inner) => listed(inner, (infos) => infos.slice(0, PAGE)),
  },
  {
    name: 'loses the last page if it is not full',
    caughtBy: ['LS09', 'LS11'],
    make: (inner) =>
      listed(inner, (infos) =>
        infos.length > PAGE ? infos.slice(0, infos.length - (infos.length % PAGE)) : infos,
      ),
  },
  {
    name: 'repeats the last key of a page',
    caughtBy: ['LS09', 'LS10', 'LS11', 'LS12', 'LS13'],
    make: (inner) =>
      listed(inner, (infos) =>
        infos.flatMap((info, i) => ((i + 1) % PAGE === 0 ? [info, info] : [info])),
      ),
  },
  {
    name: 'fails for an empty listing',
    caughtBy: ['LS01'],
    make: (inner) =>
      listed(inner, (infos) => {
        if (infos.length === 0) throw new Error('NoSuchPrefix')
        return infos
      }),
  },
  {
    name: 'takes a prefix for a folder',
    caughtBy: ['LS03', 'LS04'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          const prefix = o?.prefix ?? ''
          const dir = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
          yield* inner.list({ ...o, prefix: dir })
        },
      }),
  },
  {
    name: 'leaves out the key that is the prefix',
    caughtBy: ['LS04'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          for await (const info of inner.list(o)) if (info.key !== o?.prefix) yield info
        },
      }),
  },
  {
    name: 'starts at startAfter, not after it',
    caughtBy: ['LS05', 'LS06', 'LS07', 'LS08'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          const first = o?.startAfter
            ? await inner.head(o.startAfter).catch(() => undefined)
            : undefined
          if (first?.key.startsWith(o?.prefix ?? '')) yield first
          yield* inner.list(o)
        },
      }),
  },
  {
    name: 'ignores startAfter',
    caughtBy: ['LS05', 'LS06', 'LS07', 'LS08', 'LS16'],
    make: (inner) => altered(inner, { list: (o) => inner.list({ ...o, startAfter: undefined }) }),
  },
  {
    name: 'forgets startAfter when there is a prefix',
    caughtBy: ['LS06', 'LS07'],
    make: (inner) =>
      altered(inner, {
        list: (o) => inner.list(o?.prefix ? { ...o, startAfter: undefined } : o),
      }),
  },
  {
    name: 'takes startAfter for a prefix',
    caughtBy: ['LS05', 'LS07', 'LS08'],
    make: (inner) =>
      altered(inner, { list: (o) => inner.list({ ...o, prefix: o?.startAfter || o?.prefix }) }),
  },
  {
    name: 'fetches all pages before the first entry',
    caughtBy: ['LS10', 'LS15'],
    ground: 'faults',
    make: (inner) => listed(inner, (infos) => infos),
  },
  {
    name: 'shares one cursor among listings',
    caughtBy: ['LS16'],
    make: (inner) => {
      let shared: AsyncIterator<ObjectInfo> | undefined
      return altered(inner, {
        list: (o) => ({
          [Symbol.asyncIterator]() {
            shared ??= inner.list(o)[Symbol.asyncIterator]()
            return shared
          },
        }),
      })
    },
  },
  {
    name: 'pages by offset',
    caughtBy: ['LS12', 'LS13'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          for (let offset = 0; ; offset += PAGE) {
            await sleep(0)
            const page = (await collect(inner.list(o))).slice(offset, offset + PAGE)
            yield* page
            if (page.length < PAGE) return
          }
        },
      }),
  },
  {
    name: 'fails when a listed key is gone',
    caughtBy: ['LS13'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          for await (const info of (await collect(inner.list(o))).values()) {
            if (!(await inner.head(info.key))) throw new Error('ENOENT')
            yield info
          }
        },
      }),
  },
  {
    name: 'lists an old state',
    caughtBy: ['LS22', 'PG24'],
    make: (inner) => {
      let old: ObjectInfo[] = []
      return altered(inner, {
        async *list(o) {
          yield* old
          old = await collect(inner.list(o))
        },
      })
    },
  },
  {
    name: 'swallows an error on a later page',
    caughtBy: ['LS23', 'LS24'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          try {
            yield* inner.list(o)
          } catch {}
        },
      }),
  },
  {
    name: 'shows folders after objects',
    caughtBy: ['LS18'],
    make: (inner) =>
      dirs(inner, (entries) => [
        ...entries.filter((entry) => entry.kind === 'object'),
        ...entries.filter((entry) => entry.kind === 'prefix'),
      ]),
  },
  {
    name: 'repeats a folder on each page',
    caughtBy: ['LS19'],
    make: (inner) =>
      altered(inner, {
        async *listDir(o) {
          const all = await collect(inner.list(o))
          for (let at = 0; at < all.length; at += PAGE) {
            const page = all.slice(at, at + PAGE)
            yield* foldDirs(each(page), o?.prefix ?? '')
          }
        },
      }),
  },
  {
    name: 'shows folders that are empty by now',
    caughtBy: ['LS20'],
    make: (inner) => {
      const seen = new Set<string>()
      return altered(inner, {
        put: (key, body, o) => {
          if (key.includes('/')) seen.add(`${key.split('/')[0]}/`)
          return inner.put(key, body, o)
        },
        async *listDir(o) {
          yield* inner.listDir(o)
          if (o?.prefix) return
          const there = new Set<string>()
          for await (const entry of inner.listDir())
            if (entry.kind === 'prefix') there.add(entry.prefix)
          for (const prefix of seen) if (!there.has(prefix)) yield { kind: 'prefix', prefix }
        },
      })
    },
  },
  {
    name: 'lists its temporary names',
    caughtBy: ['LS21', 'PG14'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, o) => {
          await inner.put(`${key}.tmp`, new Uint8Array())
          const result = await inner.put(key, body, o)
          await inner.delete(`${key}.tmp`)
          return result
        },
      }),
  },
]

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

function listed(inner: ObjectStore, change: (infos: ObjectInfo[]) => ObjectInfo[]): ObjectStore {
  async function* list(o?: ListOptions): AsyncGenerator<ObjectInfo> {
    yield* change(await collect(inner.list(o)))
  }
  return altered(inner, { list, listDir: (o) => foldDirs(list(o), o?.prefix ?? '') })
}

function dirs(inner: ObjectStore, change: (entries: DirEntry[]) => DirEntry[]): ObjectStore {
  return altered(inner, {
    async *listDir(o) {
      yield* change(await collect(inner.listDir(o)))
    },
  })
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}
