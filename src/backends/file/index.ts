import type { ObjectStoreProvider } from '../../core/store/index.ts'
import { DriverStore } from '../../core/store/index.ts'
import { FileDriver } from './file-driver.ts'
import type { FileStoreOptions } from './file-options.ts'
import { parseFileUrl } from './file-options.ts'

export type { FileStoreOptions } from './file-options.ts'

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

/**
 * A folder as an object store. A put costs two flushes, of the file and its folder, and is durable
 * once it resolves. Safe for several processes of one machine; `ifMatch` holds within one process.
 */
export class FileObjectStore extends DriverStore {
  /** @throws StoreError `InvalidArgument` if the root is not an absolute path */
  constructor(options: FileStoreOptions) {
    super(new FileDriver(options))
  }
}
