import type { ObjectStore, PutOptions } from '../../src/core/store/index.ts'

/** What a test puts around the calls of a store: by method, with the key where there is one. */
export type StoreHooks = {
  [name in 'put' | 'get' | 'head' | 'delete']?:
    | ((key: string, go: () => Promise<unknown>) => Promise<unknown>)
    | undefined
} & {
  /** Notes each call, also those without a hook. */
  onCall?: (name: string, key: string) => void
  capabilities?: Partial<ObjectStore['capabilities']>
  /** Puts overwrite, whatever the condition. */
  ignoresConditions?: boolean
}

/** A store whose hooks may be changed while it is in use. */
export function hookedStore(inner: ObjectStore, hooks: StoreHooks): ObjectStore {
  return new Proxy<ObjectStore>(inner, {
    get(target, name) {
      const value = Reflect.get(target, name, target)
      if (name === 'capabilities') return { ...target.capabilities, ...hooks.capabilities }
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const key = typeof args[0] === 'string' ? args[0] : ''
        if (name === 'put' && hooks.ignoresConditions === true) {
          args[2] = { ...(args[2] as PutOptions | undefined), ifAbsent: undefined }
        }
        hooks.onCall?.(String(name), key)
        const go = () => value.apply(target, args)
        const hook = hooks[name as 'put']
        return hook === undefined ? go() : hook(key, go)
      }
    },
  })
}
