import type { ContainerClient, StoragePipelineOptions } from '@azure/storage-blob'
import { HttpTransport } from '../shared/http-transport.ts'
import { loadSdk } from '../shared/load-sdk.ts'
import { invalidOption } from '../shared/settings.ts'
import type { AzureAccess, AzureOptions } from './azure-options.ts'
import { azureHttpClient } from './azure-transport.ts'

/** The client of one container and its connections. */
export interface AzureConnection {
  readonly container: ContainerClient
  readonly options: AzureOptions
  destroy(): void
}

type AzureSdk = typeof import('@azure/storage-blob')

/**
 * Loads the SDK and creates a client that never retries.
 *
 * @throws StoreError `Unsupported` if the SDK is not installed; `InvalidArgument` for a malformed
 *   connection string or key
 */
export async function connectAzure(options: AzureOptions): Promise<AzureConnection> {
  const sdk = await loadSdk(
    '@azure/storage-blob',
    'The store az://',
    () => import('@azure/storage-blob'),
  )
  const transport = new HttpTransport(options)
  const pipelineOptions: StoragePipelineOptions = {
    httpClient: azureHttpClient(transport),
    retryOptions: { maxTries: 1 },
  }
  const service = await openService(sdk, options.access, pipelineOptions)
  return {
    container: service.getContainerClient(options.container),
    options,
    destroy: () => transport.destroy(),
  }
}

/** The name of a key in the container: with the URL's prefix in front. */
export function blobName({ prefix }: AzureOptions, key: string): string {
  return prefix === '' ? key : `${prefix}/${key}`
}

async function openService(
  sdk: AzureSdk,
  access: AzureAccess,
  pipelineOptions: StoragePipelineOptions,
): Promise<InstanceType<AzureSdk['BlobServiceClient']>> {
  switch (access.kind) {
    case 'connectionString':
      return fromConnectionString(sdk, access.connectionString, pipelineOptions)
    case 'key': {
      const credential = new sdk.StorageSharedKeyCredential(access.account, access.accountKey)
      return new sdk.BlobServiceClient(access.endpoint.href, credential, pipelineOptions)
    }
    case 'sas': {
      const url = `${access.endpoint.href.replace(/\/$/, '')}?${access.sasToken.replace(/^\?/, '')}`
      return new sdk.BlobServiceClient(url, new sdk.AnonymousCredential(), pipelineOptions)
    }
    case 'identity': {
      const { DefaultAzureCredential } = await loadSdk(
        '@azure/identity',
        'The default credential of az://',
        () => import('@azure/identity'),
      )
      return new sdk.BlobServiceClient(
        access.endpoint.href,
        new DefaultAzureCredential(),
        pipelineOptions,
      )
    }
  }
}

/** The SDK's message would reveal parts of the connection string. */
function fromConnectionString(
  sdk: AzureSdk,
  connectionString: string,
  pipelineOptions: StoragePipelineOptions,
): InstanceType<AzureSdk['BlobServiceClient']> {
  try {
    return sdk.BlobServiceClient.fromConnectionString(connectionString, pipelineOptions)
  } catch (error) {
    const part = /^Invalid (\w{5,30}) in the/.exec((error as Error).message)?.[1]
    throw invalidOption(
      `AZURE_STORAGE_CONNECTION_STRING is malformed${part === undefined ? '' : `: its ${part} is missing or wrong`}.`,
      'Copy it whole from the portal: Access keys, Connection string.',
    )
  }
}
