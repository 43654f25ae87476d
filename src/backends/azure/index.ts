import { DriverStore, type ObjectStoreProvider } from '../../core/store/index.ts'
import { connectAzure } from './azure-client.ts'
import { AzureDriver } from './azure-driver.ts'
import { parseAzureOptions } from './azure-options.ts'

/** Azure Blob Storage: `az://container/prefix`, or `abs://` as in Litestream. */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 'azure',
  schemes: ['az', 'abs'],
  layout: 'ltx',
  validate(url, env, options) {
    parseAzureOptions(url, env, options)
  },
  async open(url, env, options) {
    options.signal?.throwIfAborted()
    return new DriverStore(
      new AzureDriver(await connectAzure(parseAzureOptions(url, env, options))),
    )
  },
}
