import { DriverStore } from '../../core/store/index.ts'
import { FileDriver } from './file-driver.ts'
import type { FileStoreOptions } from './file-options.ts'

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
