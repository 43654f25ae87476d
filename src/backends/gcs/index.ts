import type { ObjectStoreProvider } from '../../core/store/index.ts'
import { connectGcs } from './gcs-client.ts'
import { GcsObjectStore } from './gcs-object-store.ts'
import { parseGcsOptions } from './gcs-options.ts'

export { GcsObjectStore } from './gcs-object-store.ts'

/** Google Cloud Storage: `gs://bucket/prefix`. */
export const provider: ObjectStoreProvider = {
  apiVersion: 1,
  name: 'gcs',
  schemes: ['gs'],
  layout: 'ltx',
  validate(url, env, options) {
    parseGcsOptions(url, env, options)
  },
  async open(url, env, options) {
    options.signal?.throwIfAborted()
    return new GcsObjectStore(await connectGcs(parseGcsOptions(url, env, options)))
  },
}
