import { isStoreError, type ObjectStore, type ObjectStoreProvider } from '../../core/store/index.ts'
import { UsageError } from '../args/usage-error.ts'
import { InterruptedError } from '../output/interrupted-error.ts'

export const PLUGIN_AUTHOR = 'This is a bug in the plugin: report it to its author.'

const METHODS = [
  'check',
  'put',
  'get',
  'head',
  'list',
  'listDir',
  'delete',
  'deleteMany',
  'close',
] as const satisfies readonly (keyof ObjectStore)[]

/** What each capability may be; the same words as in `StoreCapabilities`. */
const CAPABILITIES: Readonly<Record<keyof ObjectStore['capabilities'], readonly unknown[]>> = {
  ifAbsent: ['atomic', 'none'],
  ifMatch: ['atomic', 'process', 'none'],
  deleteIfMatch: ['atomic', 'process', 'none'],
  consistency: ['strong', 'same-region'],
  flatNamespace: [true, false],
  listsCreatedAt: [true, false],
  maxObjectBytes: ['number'],
  maxKeyBytes: ['number'],
}

/**
 * The same provider, whose `open` blames the plugin for what it does wrong: an error that is no
 * StoreError, or a store that lacks a method or a capability. It was not compiled with us.
 */
export function guardPlugin(name: string, provider: ObjectStoreProvider): ObjectStoreProvider {
  return {
    apiVersion: provider.apiVersion,
    name: provider.name,
    schemes: provider.schemes,
    layout: provider.layout,
    optionsSchema: provider.optionsSchema,
    async open(url, env, options) {
      let store: ObjectStore
      try {
        store = await provider.open(url, env, options)
      } catch (cause) {
        if (isStoreError(cause) || cause instanceof InterruptedError) throw cause
        const reason = cause instanceof Error ? cause.message : String(cause)
        const message = `The plugin ${name} failed to open ${url.protocol}//${url.host}${url.pathname}: ${reason}`
        throw new UsageError(message, PLUGIN_AUTHOR, { cause })
      }
      const problem = storeProblem(store)
      if (problem === undefined) return store
      throw new UsageError(`The store of the plugin ${name} ${problem}.`, PLUGIN_AUTHOR)
    },
  }
}

function storeProblem(store: Partial<Record<keyof ObjectStore, unknown>>): string | undefined {
  if (typeof store !== 'object' || store === null) return 'is not an object'
  const missing = METHODS.find((method) => typeof store[method] !== 'function')
  if (missing !== undefined) return `has no method ${missing}`
  if (typeof store.description !== 'string') return 'has no description'
  const capabilities = (store.capabilities ?? {}) as Readonly<Record<string, unknown>>
  for (const [name, allowed] of Object.entries(CAPABILITIES)) {
    const value = capabilities[name]
    if (allowed.includes(value) || allowed.includes(typeof value)) continue
    return `declares the capability ${name} as ${JSON.stringify(value)}, expected ${allowed.join(' or ')}`
  }
  return undefined
}
