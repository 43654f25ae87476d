import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { FileObjectStore } from '../../../src/backends/file/index.ts'
import type { ObjectStore, ObjectStoreProvider } from '../../../src/core/store/index.ts'

/** `held:///folder`: a folder that is listed when there is a file `go` beside it; `asked` says that somebody waits. */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'held-store',
  schemes: ['held'],
  layout: 'ltx',
  async open(url) {
    const root = decodeURIComponent(url.pathname)
    const store = new FileObjectStore({ root, create: true })
    return new Proxy<ObjectStore>(store, {
      get(target, name) {
        if (name === 'list') return list
        const value = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })

    async function* list(
      ...args: Parameters<ObjectStore['list']>
    ): ReturnType<ObjectStore['list']> {
      writeFileSync(`${root}.asked`, '')
      while (!existsSync(`${root}.go`)) {
        args[0]?.signal?.throwIfAborted()
        await delay(10)
      }
      yield* store.list(...args)
    }
  },
}
