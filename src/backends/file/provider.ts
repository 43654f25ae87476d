import type { ObjectStoreProvider } from '../../core/store/index.ts'
import { FileObjectStore } from './file-object-store.ts'
import { parseFileUrl } from './file-options.ts'

/** `file:///absolute/path`, with `?create=1` or `?create=0`. */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'file',
  schemes: ['file'],
  layout: 'ltx',
  validate(url, _env, options) {
    parseFileUrl(url, options)
  },
  async open(url, _env, options) {
    return new FileObjectStore(parseFileUrl(url, options))
  },
}
