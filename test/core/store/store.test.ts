import { describe, expect, it } from 'vitest'
import { provider as fileProvider } from '../../../src/backends/file/index.ts'
import {
  MemoryObjectStore,
  provider as memoryProvider,
} from '../../../src/backends/memory/index.ts'
import { assertProvider, PrefixedStore } from '../../../src/core/store/index.ts'
import { ObservedStore } from '../../../src/core/store/observed-store.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('assertProvider', () => {
  const good = { apiVersion: 2, name: 'x', schemes: ['oss'], layout: 'hex', open: async () => {} }

  it.each([fileProvider, memoryProvider, good])('takes $name', (provider) => {
    expect(() => assertProvider(provider, 'there')).not.toThrow()
  })

  it.each([
    [undefined, 'provider'],
    [{ ...good, apiVersion: 1 }, 'apiVersion'],
    [{ ...good, name: '' }, 'name'],
    [{ ...good, schemes: [] }, 'schemes'],
    [{ ...good, schemes: ['OSS:'] }, 'OSS:'],
    [{ ...good, layout: 'flat' }, 'layout'],
    [{ ...good, optionsSchema: {} }, 'optionsSchema'],
    [{ ...good, open: undefined }, 'open'],
  ])('refuses %j and names the source and the field', (value, field) => {
    const check = () => assertProvider(value, '@acme/store')
    expect(check).toThrow(/@acme\/store/)
    expect(check).toThrow(field)
    expect(check).toThrow(expect.objectContaining({ code: 'InvalidArgument' }))
  })
})

describe('ObservedStore', () => {
  it('counts calls by verb and shows none when nothing was called', async () => {
    const store = new ObservedStore(new MemoryObjectStore())
    expect(store.totalCalls).toBe(0)
    await store.put('k', bytes('x'))
    await store.head('k')
    await store.head('k')
    for await (const _ of store.listDir());
    expect(store.calls).toMatchObject({ put: 1, head: 2, list: 1, get: 0 })
    expect(store.totalCalls).toBe(4)
  })
})

describe('PrefixedStore', () => {
  it('refuses a prefix that is not a key path', () => {
    for (const prefix of ['', '/a', 'a/', '../a']) {
      const make = () => new PrefixedStore(new MemoryObjectStore(), prefix)
      expect(make).toThrow(expect.objectContaining({ code: 'InvalidKey' }))
    }
  })

  it('takes its prefix off the longest key', () => {
    const store = new PrefixedStore(new MemoryObjectStore(undefined, 'room'), 'a/b')
    expect(store.capabilities.maxKeyBytes).toBe(512 - 4)
    expect(store.description).toBe('mem://room/a/b')
  })
})
