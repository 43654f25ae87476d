import { FileObjectStore } from '../../../src/backends/file/index.ts'
import type { ObjectStore } from '../../../src/core/store/index.ts'
import { altered } from './broken-store.ts'

export interface BrokenChild {
  readonly root: string
  readonly flaw: 'looks first and puts then' | 'keeps the process alive'
}

/** What the children of the contract open: a folder, with one flaw. */
export async function openStore(prefix: string, data: unknown): Promise<ObjectStore> {
  const { root, flaw } = data as BrokenChild
  const inner = new FileObjectStore({ root: `${root}/${prefix}`, create: true })
  if (flaw === 'keeps the process alive') {
    setTimeout(() => {}, 30_000)
    return inner
  }
  return altered(inner, {
    put: async (key, body, options) =>
      (await inner.head(key)) ? inner.put(key, body, options) : inner.put(key, body),
  })
}
