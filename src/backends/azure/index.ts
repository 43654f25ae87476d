import type { ObjectStoreProvider } from '../../core/store/index.ts'
import { connectAzure } from './azure-client.ts'
import { AzureObjectStore } from './azure-object-store.ts'
import { parseAzureOptions } from './azure-options.ts'

export { AzureObjectStore } from './azure-object-store.ts'

/** Azure Blob Storage: `az://container/prefix`, and `abs://` as Litestream calls it. */
export const provider: ObjectStoreProvider = {
  apiVersion: 1,
  name: 'azure',
  schemes: ['az', 'abs'],
  layout: 'ltx',
  validate(url, env, options) {
    parseAzureOptions(url, env, options)
  },
  async open(url, env, options) {
    options.signal?.throwIfAborted()
    return new AzureObjectStore(await connectAzure(parseAzureOptions(url, env, options)))
  },
}
