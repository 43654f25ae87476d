import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FileObjectStore } from '../../../../src/backends/file/index.ts'
import { MemoryContainer, MemoryObjectStore } from '../../../../src/backends/memory/index.ts'
import { listReplicas } from '../../../../src/core/replica/list-replicas.ts'
import { parseLtxKey } from '../../../../src/core/replica/replica-layout.ts'
import {
  type ObjectInfo,
  type ObjectStore,
  PrefixedStore,
  type ProbeReport,
  type ProbeVerb,
  probeStore,
  RetryingStore,
  readAll,
  StoreError,
  unfitStore,
} from '../../../../src/core/store/index.ts'
import { ObservedStore } from '../../../../src/core/store/observed-store.ts'

describe('probeStore on a store that keeps its word', () => {
  it('finds everything ok in eleven calls, and leaves nothing', async () => {
    const store = new ObservedStore(new MemoryObjectStore())
    const report = await probeStore(store)
    expect(statuses(report)).toEqual({
      'create-only': 'ok',
      'compare-and-swap': 'ok',
      'read-after-write': 'ok',
      'list-order': 'ok',
      delete: 'ok',
    })
    expect(report).toMatchObject({ denied: [], leftBehind: [] })
    expect(Object.keys(report.latencyMs).sort()).toEqual(['delete', 'get', 'head', 'list', 'put'])
    for (const ms of Object.values(report.latencyMs)) expect(ms).toBeGreaterThanOrEqual(0)
    expect(Math.abs(report.clockSkewMs!)).toBeLessThan(5000)
    expect(statuses(report)['create-only']).toBe('ok')
    expect(store.totalCalls).toBe(11)
    expect(await keysOf(store)).toEqual([])
  })

  it('says of a folder that compare-and-swap is declared for one process, and leaves no folder', async () => {
    const root = mkdtempSync(join(tmpdir(), 'walsync-probe-'))
    const store = new FileObjectStore({ root })
    const report = await probeStore(new RetryingStore(store))
    expect(Object.values(statuses(report))).toEqual(['ok', 'ok', 'ok', 'ok', 'ok'])
    expect(sentence(report, 'compare-and-swap')).toContain('for one process only')
    expect(readdirSync(root).filter((name) => name !== '.walsync-tmp')).toEqual([])
    await store.close()
    rmSync(root, { recursive: true })
  })

  it('does not touch existing objects, also with its own prefix', async () => {
    const store = new MemoryObjectStore()
    await store.put('walsync-probe/mine', bytes('x'))
    await store.put('elsewhere/mine', bytes('y'))
    await probeStore(store)
    await probeStore(store, { prefix: 'elsewhere' })
    expect(await keysOf(store)).toEqual(['elsewhere/mine', 'walsync-probe/mine'])
  })
})

describe('a capability that is declared none', () => {
  it('is skipped by name, and not asked for', async () => {
    const capabilities = { ifAbsent: 'none', ifMatch: 'none' } as const
    const conditions: unknown[] = []
    const store = broken((inner) => ({
      capabilities: { ...inner.capabilities, ...capabilities },
      put: (key, body, options) => {
        if (options?.ifAbsent ?? options?.ifMatch) conditions.push(options)
        return inner.put(key, body, options)
      },
    }))
    const report = await probeStore(store)
    expect(conditions).toEqual([])
    expect(statuses(report)).toMatchObject({
      'create-only': 'skipped',
      'compare-and-swap': 'skipped',
      'read-after-write': 'ok',
      'list-order': 'ok',
    })
    expect(sentence(report, 'create-only')).toMatch(/declares none: two writers/)
    expect(statuses(report)['create-only']).not.toBe('ok')
  })
})

/** [what is wrong, the check that must fail, what it says, how] */
const BROKEN: readonly (readonly [string, string, RegExp, Break])[] = [
  [
    'ignores ifAbsent',
    'create-only',
    /was accepted, the condition is ignored: two writers of one replica could overwrite each other's history unseen\.$/,
    (inner) => ({
      put: (key, body, options) => inner.put(key, body, { ...options, ifAbsent: undefined }),
    }),
  ],
  [
    'answers AlreadyExists and overwrites',
    'create-only',
    /answered with AlreadyExists, but overwrote it: two writers/,
    (inner) => ({
      put: async (key, body, options) => {
        const there = await inner.head(key)
        const result = await inner.put(key, body, { ...options, ifAbsent: undefined })
        if (there && options?.ifAbsent) throw failure('AlreadyExists', 'put', key)
        return result
      },
    }),
  ],
  [
    'does not know ifAbsent (501)',
    'create-only',
    /^A create-only put of a new key failed \(.*\): two writers/,
    (inner) => ({
      put: async (key, body, options) => {
        if (options?.ifAbsent) throw failure('Unsupported', 'put', key)
        return inner.put(key, body, options)
      },
    }),
  ],
  [
    'refuses ifAbsent with another code',
    'create-only',
    /failed as PreconditionFailed, expected AlreadyExists/,
    (inner) => ({
      put: (key, body, options) =>
        inner.put(key, body, options).catch((error: StoreError) => {
          throw error.code === 'AlreadyExists' ? failure('PreconditionFailed', 'put', key) : error
        }),
    }),
  ],
  [
    'ignores ifMatch',
    'compare-and-swap',
    /^A put with a stale version was accepted/,
    (inner) => ({
      put: (key, body, options) => inner.put(key, body, { ...options, ifMatch: undefined }),
    }),
  ],
  [
    'ignores ifMatch where nothing is',
    'compare-and-swap',
    /^A put of a missing key with a version was accepted/,
    (inner) => ({
      put: async (key, body, options) =>
        options?.ifMatch && (await inner.head(key)) === undefined
          ? inner.put(key, body)
          : inner.put(key, body, options),
    }),
  ],
  [
    'answers NotFound for ifMatch where nothing is',
    'compare-and-swap',
    /missing key with a version failed as NotFound, expected PreconditionFailed/,
    (inner) => ({
      put: async (key, body, options) => {
        if (options?.ifMatch && (await inner.head(key)) === undefined) {
          throw failure('NotFound', 'put', key)
        }
        return inner.put(key, body, options)
      },
    }),
  ],
  [
    'answers PreconditionFailed and stores',
    'compare-and-swap',
    /answered with PreconditionFailed, but stored its bytes/,
    (inner) => ({
      put: async (key, body, options) => {
        if (options?.ifMatch === undefined) return inner.put(key, body, options)
        await inner.put(key, body)
        throw failure('PreconditionFailed', 'put', key)
      },
    }),
  ],
  [
    'refuses the current version',
    'compare-and-swap',
    /^A put with the current version failed as PreconditionFailed, expected to succeed: no write/,
    (inner) => ({
      put: async (key, body, options) => {
        if (options?.ifMatch) throw failure('PreconditionFailed', 'put', key)
        return inner.put(key, body, options)
      },
    }),
  ],
  [
    'does not know ifMatch (501)',
    'compare-and-swap',
    /^A put with a stale version failed as Unsupported/,
    (inner) => ({
      put: async (key, body, options) => {
        if (options?.ifMatch) throw failure('Unsupported', 'put', key)
        return inner.put(key, body, options)
      },
    }),
  ],
  [
    'accepts the current version and stores nothing',
    'compare-and-swap',
    /^A put with the current version was accepted, but list shows what was there before/,
    (inner) => ({
      put: async (key, body, options) => {
        const there = await inner.head(key)
        if (options?.ifMatch === undefined || there?.version !== options.ifMatch) {
          return inner.put(key, body, options)
        }
        return {
          version: there.version,
          size: body instanceof Uint8Array ? body.byteLength : (body.size ?? 0),
        }
      },
    }),
  ],
  [
    'gets the size and version of a put with other bytes',
    'read-after-write',
    /^get returns other bytes than the put stored/,
    (inner) => ({ get: gets(inner, (body) => body.with(body.length - 1, 0)) }),
  ],
  [
    'takes bytes for text',
    'read-after-write',
    /^get returns other bytes than the put stored/,
    (inner) => ({ get: gets(inner, (body) => body.map((one) => (one === 13 ? 10 : one))) }),
  ],
  [
    'gets nothing right after a put',
    'read-after-write',
    /^get does not show an object right after its put/,
    () => ({
      get: async (key) => {
        throw failure('NotFound', 'get', key)
      },
    }),
  ],
  [
    'has no head right after a put',
    'read-after-write',
    /^head does not show/,
    () => ({ head: async () => undefined }),
  ],
  [
    'heads an older state',
    'read-after-write',
    /^head shows another state/,
    (inner) => ({
      head: async (key) => {
        const info = await inner.head(key)
        return info && { ...info, size: 1 }
      },
    }),
  ],
  [
    'lists late',
    'read-after-write',
    /^list does not show/,
    () => ({
      list: async function* () {},
    }),
  ],
  [
    'returns damaged bytes',
    'read-after-write',
    /^get failed right after the put: Corrupted/,
    () => ({
      get: async (key) => {
        throw failure('Corrupted', 'get', key)
      },
    }),
  ],
  [
    'lists in the order of writing',
    'list-order',
    /^The keys B, a are listed as "a, B"/,
    (inner) => ({ list: sorted(inner, () => -1) }),
  ],
  [
    'lists a key twice',
    'list-order',
    /listed as "B, a, a"/,
    (inner) => ({
      list: async function* (options) {
        for await (const info of inner.list(options)) {
          yield info
          if (info.key.endsWith('/a')) yield info
        }
      },
    }),
  ],
  [
    'keeps what was deleted',
    'delete',
    /^Deleted objects are still listed/,
    () => ({
      deleteMany: async function* () {},
    }),
  ],
  [
    'fails to delete',
    'delete',
    /^A delete failed: Unknown/,
    () => ({
      deleteMany: async function* (keys) {
        for await (const key of keys) yield { key, error: failure('Unknown', 'delete', key) }
      },
    }),
  ],
]

describe('a store that does otherwise than it says', () => {
  it.each(BROKEN)('%s', async (_what, check, says, change) => {
    const report = await probeStore(broken(change))
    expect(statuses(report)[check]).toBe('failed')
    expect(sentence(report, check)).toMatch(says)
    if (check === 'create-only') expect(statuses(report)['create-only']).not.toBe('ok')
  })

  it('fails only that check, if the others do not depend on it', async () => {
    const rows = BROKEN.filter(([what]) => /\(501\)|another code|order of writing/.test(what))
    expect(rows).toHaveLength(4)
    for (const [, check, , change] of rows) {
      const others = Object.entries(statuses(await probeStore(broken(change))))
      expect(others.filter(([, status]) => status !== 'ok')).toEqual([[check, 'failed']])
    }
  })

  it('names the keys that are left', async () => {
    const report = await probeStore(broken(() => ({ deleteMany: async function* () {} })))
    expect(report.leftBehind.map((key) => key.replace(/^.*\//, ''))).toEqual(['B', 'a'])
  })
})

describe('missing permissions', () => {
  const VERBS = ['put', 'get', 'head', 'list', 'delete'] as const
  it.each(VERBS)('%s is named, and nothing is said to be broken', async (verb) => {
    const container = new MemoryContainer()
    const report = await probeStore(denying(verb, container))
    expect(report.denied).toMatchObject([{ verb, error: { code: 'PermissionDenied' } }])
    const found = Object.values(statuses(report))
    expect(found).not.toContain('failed')
    expect(found).toContain('untried')
    expect(report.latencyMs[verb]).toBeUndefined()
    const left = await keysOf(new MemoryObjectStore(container))
    expect(left).toHaveLength(verb === 'delete' ? 2 : 0)
    expect([...report.leftBehind].sort()).toEqual(left)
    expect(statuses(report)['create-only'] === 'ok').toBe(verb !== 'put' && verb !== 'get')
  })
})

describe('a probe that cannot go on', () => {
  it.each(['put', 'get', 'head', 'list', 'deleteMany'] as const)(
    'rejects when the store goes down at %s, and removes what it wrote',
    async (verb) => {
      const inner = new MemoryObjectStore()
      let failures = 0
      const store = new Proxy(inner, {
        get(target, name) {
          if (name === verb && (verb !== 'put' || failures++ > 0) && failures < 3) {
            failures++
            return down
          }
          return bound(target, name)
        },
      })
      await expect(probeStore(store)).rejects.toMatchObject({ code: 'Unavailable' })
      if (verb !== 'deleteMany') expect(await keysOf(inner)).toEqual([])
    },
  )

  it('rejects for a missing container and for refused credentials', async () => {
    const container = new MemoryContainer()
    container.exists = false
    const missing = probeStore(new MemoryObjectStore(container))
    await expect(missing).rejects.toMatchObject({ code: 'ContainerNotFound' })
    const refused = broken(() => ({
      put: async (key) => {
        throw failure('Unauthenticated', 'put', key)
      },
    }))
    await expect(probeStore(refused)).rejects.toMatchObject({ code: 'Unauthenticated' })
  })

  it('passes on errors that are not a StoreError', async () => {
    const store = broken(() => ({
      head: async () => {
        throw new TypeError('a defect')
      },
    }))
    await expect(probeStore(store)).rejects.toThrow(TypeError)
  })

  it('rejects with the reason of its signal at each call, and removes what it wrote', async () => {
    for (let at = 1; at <= 11; at++) {
      const inner = new MemoryObjectStore()
      const controller = new AbortController()
      let calls = 0
      const store = new Proxy(inner, {
        get(target, name) {
          const isCall = ['put', 'get', 'head', 'list', 'deleteMany'].includes(String(name))
          if (isCall && ++calls === at) controller.abort(new Error(`at ${at}`))
          return bound(target, name)
        },
      })
      const probe = probeStore(store, { signal: controller.signal })
      await expect(probe).rejects.toThrow(`at ${at}`)
      expect(await keysOf(inner)).toEqual([])
    }
  })
})

describe('the clock of the store', () => {
  it.each([3_600_000, -90_000])('is %i ms off', async (offset) => {
    const shift = (info: ObjectInfo): ObjectInfo => ({
      ...info,
      lastModified: new Date(info.lastModified.getTime() + offset),
    })
    const store = broken((inner) => ({
      get: async (key, options) => {
        const result = await inner.get(key, options)
        return { ...result, info: shift(result.info) }
      },
    }))
    const { clockSkewMs } = await probeStore(store)
    expect(Math.abs(clockSkewMs! - offset)).toBeLessThan(5000)
  })
})

describe('keys of a probe', () => {
  it('are never mistaken for a replica or an LTX file, even while it is running', async () => {
    for (const layout of ['ltx', 'hex'] as const) {
      const inner = new MemoryObjectStore()
      const found: string[][] = []
      const names: string[] = []
      const looking = new Proxy(inner, {
        get(target, name) {
          if (name !== 'head') return bound(target, name)
          return async (key: string) => {
            names.push(...(await keysOf(inner)))
            found.push(await listReplicas(inner, layout))
            return inner.head(key)
          }
        },
      })
      await probeStore(looking)
      await probeStore(new PrefixedStore(looking, 'app'))
      expect(found).toEqual([[], []])
      expect(names).toHaveLength(4)
      for (const key of names) {
        const inReplica = key.replace(/^app\//, '')
        expect(parseLtxKey(layout, inReplica)).toBe(undefined)
      }
    }
  })
})

describe('a store that does not give back what was put', () => {
  it.each(BROKEN.filter(([, check]) => check === 'read-after-write'))(
    '%s: refused if it is get that fails',
    async (what, _check, _says, change) => {
      const unfit = unfitStore(await probeStore(broken(change)), 'odd://x')
      if (/head|lists/.test(what)) return expect(unfit).toBe(undefined)
      expect(unfit).toMatchObject({
        code: 'Unsupported',
        message: expect.stringMatching(/^odd:\/\/x does not return what was stored in it: get /),
        hint: expect.stringContaining('walsync doctor'),
      })
    },
  )

  it('an older state of an object that was overwritten counts as that', async () => {
    // Ignores conditions, so that the probe's own puts overwrite, and goes on showing the first.
    const first = new Map<string, GetBytes>()
    const store = broken((inner) => ({
      put: async (key, body, options) => {
        const result = await inner.put(key, body, { ...options, ifAbsent: undefined })
        if (!first.has(key)) first.set(key, await readAll((await inner.get(key)).body))
        return result
      },
      get: (key, options) => gets(inner, (body) => first.get(key) ?? body)(key, options),
    }))
    expect(unfitStore(await probeStore(store), 'odd://x')?.message).toMatch(/other bytes/)
  })

  it('other faults and a denied get are not a reason to refuse the store', async () => {
    for (const [, check, , change] of BROKEN) {
      if (check === 'read-after-write') continue
      expect(unfitStore(await probeStore(broken(change)), 'odd://x')).toBe(undefined)
    }
    const denied = await probeStore(denying('get', new MemoryContainer()))
    expect(unfitStore(denied, 'odd://x')).toBe(undefined)
  })
})

type GetBytes = Uint8Array

/** A get whose bytes are changed on the way. */
function gets(inner: ObjectStore, change: (body: GetBytes) => GetBytes): ObjectStore['get'] {
  return async (key, options) => {
    const result = await inner.get(key, options)
    const body = change(await readAll(result.body))
    return {
      ...result,
      body: (async function* () {
        yield body
      })(),
    }
  }
}

type Break = (inner: ObjectStore) => Partial<ObjectStore>

function broken(change: Break, inner: ObjectStore = new MemoryObjectStore()): ObjectStore {
  const changes = change(inner)
  return new Proxy(inner, {
    get: (target, name) => (name in changes ? Reflect.get(changes, name) : bound(target, name)),
  })
}

function bound(target: ObjectStore, name: string | symbol): unknown {
  const value = Reflect.get(target, name, target)
  return typeof value === 'function' ? value.bind(target) : value
}

function denying(verb: ProbeVerb, container: MemoryContainer): ObjectStore {
  const deny = () => {
    throw failure('PermissionDenied', verb)
  }
  const change: Partial<ObjectStore> =
    verb === 'delete'
      ? {
          deleteMany: async function* (keys) {
            for await (const key of keys)
              yield { key, error: failure('PermissionDenied', verb, key) }
          },
        }
      : verb === 'list'
        ? {
            list: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => deny() }) }),
          }
        : { [verb]: async () => deny() }
  return broken(() => change, new MemoryObjectStore(container))
}

function down(): never {
  throw failure('Unavailable', 'any')
}

function sorted(inner: ObjectStore, order: (a: ObjectInfo, b: ObjectInfo) => number) {
  return async function* (...args: Parameters<ObjectStore['list']>) {
    const all: ObjectInfo[] = []
    for await (const info of inner.list(...args)) all.push(info)
    yield* all.sort(order)
  }
}

function failure(code: StoreError['code'], op: string, key?: string): StoreError {
  return new StoreError(code, `${code}: ${op} of ${key ?? 'all'}.`, { op, key })
}

function statuses({ checks }: ProbeReport): Record<string, string> {
  return Object.fromEntries(checks.map(({ name, status }) => [name, status]))
}

function sentence({ checks }: ProbeReport, name: string): string {
  return checks.find((check) => check.name === name)?.sentence ?? ''
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list()) keys.push(key)
  return keys
}
