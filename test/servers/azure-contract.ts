import { BlobServiceClient } from '@azure/storage-blob'
import { provider } from '../../src/backends/azure/index.ts'
import type { ContractHarness } from '../../src/testing/harness.ts'
import { startAzurite } from './azurite.ts'
import { httpHarness } from './contract-harness.ts'
import { azureDialect } from './fault-dialects.ts'
import { startFaultProxy } from './fault-proxy.ts'

/**
 * Azurite with the fault proxy in front. Blocks that were never committed are no residue to be
 * looked for: Azure has no request that removes them, they expire after a week.
 */
export async function azureContract(): Promise<{
  readonly harness: ContractHarness
  stop(): Promise<void>
}> {
  const server = await startAzurite()
  const direct = BlobServiceClient.fromConnectionString(
    server.env().AZURE_STORAGE_CONNECTION_STRING ?? '',
  )
  const proxy = await startFaultProxy(server.url, azureDialect, {
    async wholeObject({ url }) {
      const [, , container = '', ...name] = decodeURIComponent(url.pathname).split('/')
      const blob = direct.getContainerClient(container).getBlobClient(name.join('/'))
      const { etag = '', lastModified } = await blob.getProperties()
      return {
        headers: { etag, 'last-modified': lastModified?.toUTCString() ?? '' },
        body: await blob.downloadToBuffer(),
      }
    },
  })
  const env = server.env(proxy.url)
  const wrongKey = Buffer.from('this is not the account key of azurite').toString('base64')
  const connectionString = env.AZURE_STORAGE_CONNECTION_STRING ?? ''
  const harness = httpHarness({
    name: 'Azure on Azurite',
    provider,
    backend: 'azure',
    url: `az://${server.container}`,
    missingUrl: 'az://walsync-no-such-container',
    proxy,
    env,
    refusedEnv: {
      AZURE_STORAGE_CONNECTION_STRING: connectionString.replace(server.accountKey, wrongKey),
    },
    secrets: [server.accountKey, wrongKey],
    partBytes: 1024 * 1024,
  })
  return {
    harness,
    async stop() {
      await proxy.close()
      await server.stop()
    },
  }
}
