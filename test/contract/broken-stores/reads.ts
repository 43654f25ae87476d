import { setTimeout as sleep } from 'node:timers/promises'
import {
  type GetOptions,
  isStoreError,
  type ObjectInfo,
  StoreError,
  type Version,
} from '../../../src/core/store/index.ts'
import { altered, type BrokenStore } from './broken-store.ts'

export const brokenReads: readonly BrokenStore[] = [
  {
    name: 'gives the whole object for a range',
    caughtBy: ['RG01', 'RG02', 'RG03', 'RG07', 'RG08'],
    make: (inner) =>
      altered(inner, { get: (key, o) => inner.get(key, { ...o, range: undefined }) }),
  },
  {
    name: 'takes the end of a range as inclusive',
    caughtBy: ['RG01', 'RG02', 'RG07', 'RG08'],
    make: (inner) => altered(inner, { get: (key, o) => inner.get(key, shiftEnd(o)) }),
  },
  {
    name: 'says the asked range, not the one that came',
    caughtBy: ['RG03'],
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          return { ...result, range: { ...result.range, end: o?.range?.end ?? result.range.end } }
        },
      }),
  },
  {
    name: 'says the size of the part as that of the object',
    caughtBy: ['RG01', 'RG02'],
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          const size = result.range.end - result.range.start
          return { ...result, info: { ...result.info, size } }
        },
      }),
  },
  {
    name: 'gives nothing for a range past the end',
    caughtBy: ['RG04', 'RG05'],
    make: (inner) =>
      altered(inner, {
        get: (key, o) =>
          inner.get(key, o).catch(async (error) => {
            if (!isStoreError(error) || error.code !== 'InvalidRange') throw error
            const info = (await inner.head(key))!
            return { info, range: { start: info.size, end: info.size }, body: nothing() }
          }),
      }),
  },
  {
    name: 'mends ranges that make no sense',
    caughtBy: ['RG06'],
    make: (inner) =>
      altered(inner, {
        get: (key, o) =>
          inner.get(key, o).catch((error) => {
            if (!isStoreError(error) || error.code !== 'InvalidArgument') throw error
            return inner.get(key)
          }),
      }),
  },
  {
    name: 'answers a range of a missing key with InvalidRange',
    caughtBy: ['RG09'],
    make: (inner) =>
      altered(inner, {
        get: (key, o) =>
          inner.get(key, o).catch((error) => {
            throw o?.range === undefined ? error : fail('InvalidRange', key)
          }),
      }),
  },
  {
    name: 'ignores ifMatch of a get',
    caughtBy: ['RG10'],
    make: (inner) =>
      altered(inner, { get: (key, o) => inner.get(key, { ...o, ifMatch: undefined }) }),
  },
  {
    name: 'takes the whole object for the range when the server does',
    caughtBy: ['RG11'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        get: (key, o) =>
          inner.get(key, o).catch((error) => {
            if (isStoreError(error) && error.code === 'Corrupted') return inner.get(key)
            throw error
          }),
      }),
  },
  {
    name: 'ends a broken body early',
    caughtBy: ['RG12'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          const body = (async function* () {
            try {
              yield* result.body
            } catch {}
          })()
          return { ...result, body }
        },
      }),
  },
  {
    name: 'resumes a body on whatever is there',
    caughtBy: ['RG13'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          const body = (async function* () {
            let at = result.range.start
            try {
              for await (const chunk of result.body) {
                at += chunk.byteLength
                yield chunk
              }
            } catch {
              yield* (await inner.get(key, { range: { start: at, end: result.range.end } })).body
            }
          })()
          return { ...result, body }
        },
      }),
  },
  {
    name: 'blends versions in a long body',
    caughtBy: ['PG22'],
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          const body = (async function* () {
            const half = result.info.size >> 1
            if (half < 400 || o?.range) return yield* result.body
            yield* (await inner.get(key, { range: { start: 0, end: half } })).body
            yield* (await inner.get(key, { range: { start: half } })).body
          })()
          return { ...result, body }
        },
      }),
  },
  {
    name: 'reads a deleted object as short',
    caughtBy: ['DL10'],
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          const body = (async function* () {
            if (await inner.head(key)) yield* result.body
          })()
          return { ...result, body }
        },
      }),
  },
  {
    name: 'gives an empty second pass over a body',
    caughtBy: ['PG26'],
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const result = await inner.get(key, o)
          const body = (async function* () {
            yield* result.body
          })()
          return { ...result, body }
        },
      }),
  },
  {
    name: 'runs out of connections when bodies are left',
    caughtBy: ['PG18', 'PG19'],
    make: (inner) => {
      let open = 0
      return altered(inner, {
        get: async (key, o) => {
          if (++open > 50) throw fail('Unavailable', key)
          const result = await inner.get(key, o)
          const body = (async function* () {
            for await (const chunk of result.body) {
              let finished = false
              try {
                yield chunk
                finished = true
              } finally {
                if (!finished) open++
              }
            }
            open--
          })()
          return { ...result, body }
        },
      })
    },
  },
  {
    name: 'throws for a missing key in head',
    caughtBy: ['PG16', 'PG17', 'PG25', 'DL01', 'PG23'],
    make: (inner) =>
      altered(inner, {
        head: async (key, o) => {
          const info = await inner.head(key, o)
          if (info === undefined) throw fail('NotFound', key)
          return info
        },
      }),
  },
  {
    name: 'finds folders as objects',
    caughtBy: ['PG17'],
    make: (inner) =>
      altered(inner, {
        head: async (key, o) => {
          const info = await inner.head(key, o)
          if (info !== undefined) return info
          for await (const below of inner.list({ prefix: `${key}/` })) return { ...below, key }
          return undefined
        },
      }),
  },
  {
    name: 'gives errors without their key',
    caughtBy: ['PG16', 'ER03', 'CD02', 'DL01'],
    make: (inner) =>
      altered(inner, {
        get: (key, o) => inner.get(key, o).catch(withoutKey),
        put: (key, body, o) => inner.put(key, body, o).catch(withoutKey),
      }),
  },
  {
    name: 'throws errors of its own kind',
    caughtBy: ['ER10', 'PG16', 'ER03', 'RG04', 'CD02'],
    make: (inner) =>
      altered(inner, {
        get: (key, o) => inner.get(key, o).catch(plainError),
        put: (key, body, o) => inner.put(key, body, o).catch(plainError),
      }),
  },
  {
    name: 'remembers that a key was missing',
    caughtBy: ['PG25'],
    make: (inner) => {
      const missing = new Set<string>()
      return altered(inner, {
        head: async (key, o) => {
          if (missing.has(key)) return undefined
          const info = await inner.head(key, o)
          if (info === undefined) missing.add(key)
          return info
        },
      })
    },
  },
  {
    name: 'caches what it has read',
    caughtBy: ['PG24'],
    make: (inner) => {
      const cache = new Map<string, Promise<ObjectInfo | undefined>>()
      return altered(inner, {
        head: (key, o) => {
          if (!cache.has(key)) cache.set(key, inner.head(key, o))
          return cache.get(key)!
        },
      })
    },
  },
  {
    name: 'pairs the bytes with the version of another moment',
    caughtBy: ['PG21'],
    make: (inner) =>
      altered(inner, {
        get: async (key, o) => {
          const info = await inner.head(key)
          await sleep(2)
          const result = await inner.get(key, o)
          return info === undefined ? result : { ...result, info }
        },
      }),
  },
  {
    name: 'takes a missing container for an empty one',
    caughtBy: ['ER01'],
    make: (inner) =>
      altered(inner, { head: (key, o) => inner.head(key, o).catch(() => undefined) }),
  },
  {
    name: 'shows no time of creation',
    caughtBy: ['TM06', 'TM07'],
    make: (inner) => changedInfo(inner, ({ createdAt: _, ...info }) => info),
  },
  {
    name: 'keeps the time of creation to the second',
    caughtBy: ['TM06', 'TM07'],
    make: (inner) =>
      changedInfo(inner, (info) => ({
        ...info,
        createdAt: info.createdAt && new Date(Math.floor(+info.createdAt / 1000) * 1000),
      })),
  },
  {
    name: 'shows the time of creation as that of the last change',
    caughtBy: ['TM08'],
    make: (inner) =>
      changedInfo(inner, (info) => ({
        ...info,
        lastModified: info.createdAt ?? info.lastModified,
      })),
  },
  {
    name: 'shows the same time for ever',
    caughtBy: ['TM01', 'TM03'],
    make: (inner) => changedInfo(inner, (info) => ({ ...info, lastModified: new Date(0) })),
  },
  {
    name: 'goes back in time',
    caughtBy: ['TM02', 'TM03'],
    make: (inner) => {
      let back = 0
      return changedInfo(inner, (info) => {
        back += 1500
        return { ...info, lastModified: new Date(+info.lastModified - back) }
      })
    },
  },
  {
    name: 'shows no valid time',
    caughtBy: ['TM05'],
    make: (inner) => changedInfo(inner, (info) => ({ ...info, lastModified: new Date('?') })),
  },
  {
    name: 'shows other times, sizes and versions in listings',
    caughtBy: ['TM04', 'LS17', 'PG08', 'CD11'],
    make: (inner) =>
      altered(inner, {
        async *list(o) {
          for await (const info of inner.list(o)) {
            const lastModified = new Date(+info.lastModified - 5000)
            yield { ...info, lastModified, version: 'list' as Version, size: info.size + 1 }
          }
        },
      }),
  },
]

function changedInfo(
  inner: Parameters<BrokenStore['make']>[0],
  change: (info: ObjectInfo) => ObjectInfo,
) {
  return altered(inner, {
    get: async (key, o) => {
      const result = await inner.get(key, o)
      return { ...result, info: change(result.info) }
    },
    head: async (key, o) => {
      const info = await inner.head(key, o)
      return info && change(info)
    },
    async *list(o) {
      for await (const info of inner.list(o)) yield change(info)
    },
  })
}

function shiftEnd(options: GetOptions | undefined): GetOptions {
  const { range } = options ?? {}
  if (range?.end === undefined || Number.isNaN(range.end)) return { ...options }
  return { ...options, range: { start: range.start, end: range.end + 1 } }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function fail(code: 'NotFound' | 'InvalidRange' | 'Unavailable', key: string): StoreError {
  return new StoreError(code, `The read of ${key} failed.`, { op: 'get', key })
}

function withoutKey(error: unknown): never {
  if (!isStoreError(error)) throw error
  throw new StoreError(error.code, 'It failed.', { op: error.op })
}

function plainError(error: Error): never {
  throw Object.assign(new Error(error.message), { code: (error as { code?: string }).code })
}
