import { setTimeout as sleep } from 'node:timers/promises'
import {
  isStoreError,
  joinChunks,
  type PutBody,
  type PutOptions,
  StoreError,
  type Version,
} from '../../../src/core/store/index.ts'
import { altered, type BrokenStore, leftovers } from './broken-store.ts'

export const brokenWrites: readonly BrokenStore[] = [
  {
    name: 'reports a wrong size',
    caughtBy: ['PG01', 'PG03', 'PG08', 'KY04'],
    make: (inner) =>
      altered(inner, {
        put: async (...args) => ({ ...(await inner.put(...args)), size: 1 }),
      }),
  },
  {
    name: 'stores text, not bytes',
    caughtBy: ['PG01', 'PG10'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) =>
          inner.put(
            key,
            new TextEncoder().encode(new TextDecoder().decode(await all(body))),
            options,
          ),
      }),
  },
  {
    name: 'loses the first chunk of a source',
    caughtBy: ['PG02', 'PG03', 'LG01', 'LG02', 'LG03', 'RG08'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(
            key,
            body instanceof Uint8Array
              ? body
              : {
                  async *open() {
                    let first = true
                    for await (const chunk of body.open()) {
                      if (!first) yield chunk
                      first = false
                    }
                  },
                },
            options,
          ),
      }),
  },
  {
    name: 'takes an empty object for a folder marker',
    caughtBy: ['PG04'],
    make: (inner) =>
      altered(inner, {
        async *list(options) {
          for await (const info of inner.list(options)) if (info.size > 0) yield info
        },
      }),
  },
  {
    name: 'refuses sources without bytes',
    caughtBy: ['PG05'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          const bytes = await all(body)
          if (bytes.byteLength === 0 && !(body instanceof Uint8Array)) throw bad(key)
          return inner.put(key, bytes, options)
        },
      }),
  },
  {
    name: 'overwrites in place and keeps the tail of a longer object',
    caughtBy: ['PG06'],
    make: (inner, container) =>
      altered(inner, {
        put: async (key, body, options) => {
          const bytes = await all(body)
          const old = container.get(key)?.bytes
          if (old !== undefined && old.byteLength > bytes.byteLength) {
            return inner.put(key, joinChunks([bytes, old.subarray(bytes.byteLength)]), options)
          }
          return inner.put(key, bytes, options)
        },
      }),
  },
  {
    name: 'refuses to overwrite',
    caughtBy: ['PG06', 'PG07', 'PG21', 'PG24', 'RG13'],
    ground: 'retry',
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) => inner.put(key, body, { signal: o?.signal, ifAbsent: true }),
      }),
  },
  {
    name: 'has one version for all',
    caughtBy: ['PG09', 'CD08', 'CD09', 'CD10', 'CD12', 'RG10'],
    make: (inner) => constantVersion(inner, () => 'v1'),
  },
  {
    name: 'derives the version from the size',
    caughtBy: ['PG09'],
    make: (inner) => constantVersion(inner, (size) => `s${size}`),
  },
  {
    name: 'reports another version from put than from head',
    caughtBy: ['PG08', 'CD01', 'CD11', 'PG24'],
    make: (inner) =>
      altered(inner, {
        put: async (...args) => ({ ...(await inner.put(...args)), version: 'x' as Version }),
      }),
  },
  {
    name: "keeps the caller's buffer",
    caughtBy: ['PG11'],
    make: (inner, container) =>
      altered(inner, {
        put: async (key, body, options) => {
          const result = await inner.put(key, body, options)
          if (body instanceof Uint8Array) Object.assign(container.get(key)!, { bytes: body })
          return result
        },
      }),
  },
  {
    name: 'hands its own buffer out',
    caughtBy: ['PG11'],
    make: (inner, container) =>
      altered(inner, {
        get: async (key, options) => ({
          ...(await inner.get(key, options)),
          body: (async function* () {
            yield container.get(key)!.bytes
          })(),
        }),
      }),
  },
  {
    name: 'stores the whole buffer under a view',
    caughtBy: ['PG12'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(key, body instanceof Uint8Array ? new Uint8Array(body.buffer) : body, options),
      }),
  },
  {
    name: 'does not compare the size',
    caughtBy: ['PG13'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(key, body instanceof Uint8Array ? body : { open: () => body.open() }, options),
      }),
  },
  {
    name: 'stores what it got when the source throws',
    caughtBy: ['PG14', 'PG15', 'LS21'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          const chunks: Uint8Array[] = []
          try {
            for await (const chunk of open(body)) chunks.push(chunk.slice())
          } catch {}
          return inner.put(key, joinChunks(chunks), options)
        },
      }),
  },
  {
    name: 'is visible while it is written',
    caughtBy: ['PG23', 'LS21', 'AB02', 'AB03', 'CL03'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          const chunks: Uint8Array[] = []
          for await (const chunk of open(body)) {
            chunks.push(chunk.slice())
            await inner.put(key, joinChunks(chunks))
          }
          return inner.put(key, joinChunks(chunks), options)
        },
      }),
  },
  {
    name: 'overwrites by delete and put',
    caughtBy: ['PG21'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          if (options?.ifAbsent || options?.ifMatch) return inner.put(key, body, options)
          await inner.delete(key)
          await sleep(2)
          return inner.put(key, body, options)
        },
      }),
  },
  {
    name: 'overwrites in two halves',
    caughtBy: ['PG21'],
    make: (inner, container) =>
      altered(inner, {
        put: async (key, body, options) => {
          const bytes = await all(body)
          const old = container.get(key)?.bytes
          if (old !== undefined && bytes.byteLength > 1000) {
            const half = bytes.byteLength >> 1
            await inner.put(key, joinChunks([bytes.subarray(0, half), old.subarray(half)]))
            await sleep(2)
          }
          return inner.put(key, bytes, options)
        },
      }),
  },
  {
    name: 'resolves before the object is there',
    caughtBy: ['PG24', 'PG25', 'LS22', 'PG08'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          const bytes = await all(body)
          setTimeout(() => inner.put(key, bytes, options).catch(() => {}), 5)
          return { size: bytes.byteLength, version: 'later' as Version }
        },
      }),
  },
  {
    name: 'confuses keys with the same beginning',
    caughtBy: ['PG20', 'KY01', 'LS09'],
    make: (inner) => {
      const cut = (key: string) => (key.length > 3 ? key.slice(0, 3).replace(/\/$/, '') : key)
      return altered(inner, {
        put: (key, body, options) => inner.put(cut(key), body, options),
        get: (key, options) => inner.get(cut(key), options),
        head: (key, options) => inner.head(cut(key), options),
        delete: (key, options) => inner.delete(cut(key), options),
      })
    },
  },
  {
    name: 'leaves what it staged behind when a put fails',
    caughtBy: ['LG05', 'LG06', 'LG07', 'AB04'],
    make: (inner, container) =>
      altered(inner, {
        put: async (key, body, options) => {
          leftovers(container).push(key)
          const result = await inner.put(key, body, options)
          leftovers(container).pop()
          return result
        },
      }),
  },
  {
    name: 'mixes two big puts',
    caughtBy: ['LG04'],
    make: (inner) => {
      let last: Uint8Array | undefined
      return altered(inner, {
        put: async (key, body, options) => {
          const bytes = await all(body)
          const mixed = last?.byteLength === bytes.byteLength && bytes.byteLength > 1e6
          const half = bytes.byteLength >> 1
          const stored = mixed ? joinChunks([bytes.subarray(0, half), last!.subarray(half)]) : bytes
          last = bytes
          return inner.put(key, stored, options)
        },
      })
    },
  },
  {
    name: 'accepts anything as a body and as a date',
    caughtBy: ['PG27'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          typeof body === 'string'
            ? inner.put(key, new TextEncoder().encode(body))
            : inner.put(key, body, { ...options, createdAt: undefined } as PutOptions),
      }),
  },
  {
    name: 'ignores ifAbsent',
    caughtBy: ['CD02', 'CD04', 'CD05', 'CD07', 'CD20', 'CD23', 'LG05'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(key, body, options?.ifAbsent ? { signal: options.signal } : options),
      }),
  },
  {
    name: 'looks first and puts then (ifAbsent)',
    caughtBy: ['CD04', 'CD05', 'CD23'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          if (!options?.ifAbsent) return inner.put(key, body, options)
          if (await inner.head(key)) return inner.put(key, body, options)
          await sleep(1)
          return inner.put(key, body, { signal: options.signal })
        },
      }),
  },
  {
    name: 'remembers that a key was there (ifAbsent after delete)',
    caughtBy: ['CD03'],
    make: (inner) => {
      const seen = new Set<string>()
      return altered(inner, {
        put: async (key, body, options) => {
          if (options?.ifAbsent && seen.has(key)) throw conflict('AlreadyExists', key)
          const result = await inner.put(key, body, options)
          seen.add(key)
          return result
        },
      })
    },
  },
  {
    name: 'answers a lost create with success',
    caughtBy: ['CD02', 'CD04', 'CD23', 'LG05'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(key, body, options).catch((error) => {
            if (isStoreError(error) && error.code === 'AlreadyExists') {
              return { size: 0, version: 'x' as Version }
            }
            throw error
          }),
      }),
  },
  {
    name: 'ignores ifMatch of a put',
    caughtBy: ['CD08', 'CD09', 'CD10', 'CD20', 'LG06'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(key, body, options?.ifMatch ? { signal: options.signal } : options),
      }),
  },
  {
    name: 'looks first and puts then (ifMatch)',
    caughtBy: ['CD10'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          if (!options?.ifMatch) return inner.put(key, body, options)
          if ((await inner.head(key))?.version !== options.ifMatch) {
            throw conflict('PreconditionFailed', key)
          }
          await sleep(1)
          return inner.put(key, body, { signal: options.signal })
        },
      }),
  },
  {
    name: 'creates for ifMatch on a missing key, as an old MinIO',
    caughtBy: ['CD09', 'CD20'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) =>
          options?.ifMatch && !(await inner.head(key))
            ? inner.put(key, body)
            : inner.put(key, body, options),
      }),
  },
  {
    name: 'answers NotFound for ifMatch on a missing key, as S3',
    caughtBy: ['CD09'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          if (options?.ifMatch && !(await inner.head(key))) throw conflict('NotFound', key)
          return inner.put(key, body, options)
        },
      }),
  },
  {
    name: 'ignores ifMatch of a delete',
    caughtBy: ['CD12'],
    make: (inner) => altered(inner, { delete: (key) => inner.delete(key) }),
  },
  {
    name: 'takes two conditions and keeps one',
    caughtBy: ['CD13'],
    make: (inner) =>
      altered(inner, {
        put: (key, body, options) =>
          inner.put(key, body, options?.ifAbsent ? { ifAbsent: true } : options),
      }),
  },
  {
    name: 'drops conditions that it says it has not',
    caughtBy: ['CD14', 'CD21', 'CD22'],
    make: (inner) =>
      altered(inner, {
        capabilities: {
          ...inner.capabilities,
          ifAbsent: 'none',
          ifMatch: 'none',
          deleteIfMatch: 'none',
        },
        put: (key, body) => inner.put(key, body),
        delete: (key) => inner.delete(key),
      }),
  },
  {
    name: 'declares conditions that it refuses',
    caughtBy: ['CD01', 'CD20', 'CD11'],
    make: (inner) =>
      altered(inner, {
        put: async (key, body, options) => {
          if (options?.ifAbsent || options?.ifMatch) throw conflict('Unsupported', key)
          return inner.put(key, body, options)
        },
      }),
  },
]

function open(body: PutBody): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  return body instanceof Uint8Array ? [body] : body.open()
}

async function all(body: PutBody): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of open(body)) chunks.push(chunk.slice())
  return joinChunks(chunks)
}

function constantVersion(
  inner: Parameters<BrokenStore['make']>[0],
  version: (size: number) => string,
) {
  const change = <T extends { readonly size: number }>(info: T) => ({
    ...info,
    version: version(info.size) as Version,
  })
  return altered(inner, {
    put: async (key, body, options) => {
      if (options?.ifMatch === undefined) return change(await inner.put(key, body, options))
      return change(await inner.put(key, body))
    },
    delete: (key) => inner.delete(key),
    get: async (key, options) => {
      const result = await inner.get(key, { ...options, ifMatch: undefined })
      return { ...result, info: change(result.info) }
    },
    head: async (key, options) => {
      const info = await inner.head(key, options)
      return info && change(info)
    },
    async *list(options) {
      for await (const info of inner.list(options)) yield change(info)
    },
  })
}

function conflict(
  code: 'AlreadyExists' | 'PreconditionFailed' | 'NotFound' | 'Unsupported',
  key: string,
) {
  return new StoreError(code, `The put of ${key} was refused.`, { op: 'put', key })
}

function bad(key: string) {
  return new StoreError('InvalidArgument', `The body of ${key} is empty.`, { op: 'put', key })
}
