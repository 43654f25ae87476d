import { StoreError } from '../../core/store/index.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { mapAzureError } from './azure-errors.ts'

/**
 * Lists one blob. That needs no permission on the container itself, and it detects a missing
 * container, which other requests answer like a missing blob.
 *
 * @throws StoreError `ContainerNotFound`, and others
 */
export async function assertContainer(
  connection: AzureConnection,
  op: string,
  key: string | undefined,
  abortSignal: AbortSignal,
): Promise<void> {
  const { container } = connection.options
  const prefix = blobName(connection.options, '')
  try {
    const pages = connection.container
      .listBlobsFlat({ prefix, abortSignal })
      .byPage({ maxPageSize: 1 })
    await pages.next()
  } catch (error) {
    abortSignal.throwIfAborted()
    throw containerError(mapAzureError(error, { op, key, container }), container)
  }
}

/** A listing has no key that could be missing, so "not found" means the container. */
export function containerError(mapped: StoreError, container: string): StoreError {
  if (mapped.code !== 'NotFound') return mapped
  return new StoreError('ContainerNotFound', `The container ${container} does not exist.`, {
    op: mapped.op,
    key: mapped.key,
    cause: mapped,
    httpStatus: mapped.httpStatus,
    hint: 'Check the container and the account.',
  })
}
