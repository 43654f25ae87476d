import { BlobServiceClient } from '@azure/storage-blob'
import { requireServer } from './server-path.ts'
import { type ServerProcess, startServer } from './server-process.ts'

export interface AzureServer extends ServerProcess {
  /** A container that exists. */
  readonly container: string
  readonly accountKey: string
  /** What a client of this server needs in its environment, for this endpoint or a proxy in front of it. */
  env(endpoint?: string): Record<string, string>
}

/** The emulator's account, published by Microsoft: no secret. */
const ACCOUNT = 'devstoreaccount1'
const ACCOUNT_KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
const CONTAINER = 'walsync-test-container'

/** Azurite's blob service with blobs in memory. */
export async function startAzurite(): Promise<AzureServer> {
  const program = requireServer('azurite')
  const server = await startServer((port) => ({
    command: process.execPath,
    args: [
      program,
      ...['--blobHost', '127.0.0.1', '--blobPort', String(port)],
      ...['--inMemoryPersistence', '--disableTelemetry', '--skipApiVersionCheck', '--silent'],
    ],
  }))
  const env = (endpoint = server.url) => ({
    AZURE_STORAGE_CONNECTION_STRING: `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${ACCOUNT_KEY};BlobEndpoint=${endpoint}/${ACCOUNT};`,
  })
  const service = BlobServiceClient.fromConnectionString(env().AZURE_STORAGE_CONNECTION_STRING)
  await service.createContainer(CONTAINER)
  return { ...server, container: CONTAINER, accountKey: ACCOUNT_KEY, env }
}
