import { DriverStore, type ObjectStoreProvider } from '../../core/store/index.ts'
import { connectGcs } from './gcs-client.ts'
import { GcsDriver } from './gcs-driver.ts'
import { parseGcsOptions } from './gcs-options.ts'

/** Google Cloud Storage: `gs://bucket/prefix`. */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'gcs',
  schemes: ['gs'],
  layout: 'ltx',
  validate(url, env, options) {
    parseGcsOptions(url, env, options)
  },
  async open(url, env, options) {
    options.signal?.throwIfAborted()
    return new DriverStore(new GcsDriver(await connectGcs(parseGcsOptions(url, env, options))))
  },
}
