import type {
  ContainerClient,
  HttpOperationResponse,
  IHttpClient,
  StoragePipelineOptions,
  WebResource,
} from '@azure/storage-blob'
import { HttpTransport, readText } from '../shared/http-transport.ts'
import { loadSdk } from '../shared/load-sdk.ts'
import { invalidOption } from '../shared/settings.ts'
import { NotFromAzure } from './azure-errors.ts'
import type { AzureAccess, AzureOptions } from './azure-options.ts'

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

/**
 * An HTTP client for the SDK that uses our own connections: the SDK's shares its agents between all
 * clients of the process, does not limit the number of connections and cannot be closed. A success
 * counts only with the request id that Azure gives to every request: a web page would pass for an
 * empty container or a stored blob.
 */
function azureHttpClient(transport: HttpTransport): IHttpClient {
  return {
    async sendRequest(request: WebResource): Promise<HttpOperationResponse> {
      const answer = await transport.send({
        method: request.method,
        url: new URL(request.url),
        headers: request.headers.toJson(),
        body: bodyOf(request.body),
        signal: (request.abortSignal as AbortSignal | undefined) ?? new AbortController().signal,
        isObject: (status) => request.streamResponseStatusCodes?.has(status) === true,
      })
      const status = answer.statusCode ?? 0
      if (status < 300 && answer.headers['x-ms-request-id'] === undefined) {
        answer.destroy()
        throw new NotFromAzure()
      }
      const headers = request.headers.clone()
      for (const name of headers.headerNames()) headers.remove(name)
      for (const [name, value] of Object.entries(answer.headers)) {
        if (value !== undefined) headers.set(name, String(value))
      }
      const response = { request, status, headers }
      if (request.streamResponseStatusCodes?.has(status) === true) {
        return { ...response, readableStreamBody: answer }
      }
      return { ...response, bodyAsText: await readText(answer) }
    },
  }
}

/** Bodies are bytes from the store or XML text from the SDK; there are no others. */
function bodyOf(body: unknown): readonly Uint8Array[] {
  if (body === undefined || body === null) return []
  if (typeof body === 'string') return [Buffer.from(body)]
  if (body instanceof Uint8Array) return [body]
  throw new TypeError('unexpected body of a request')
}
