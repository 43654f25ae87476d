import { isStoreError, StoreError } from '../../core/store/index.ts'
import { readText } from '../shared/http-transport.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError } from './gcs-errors.ts'

/**
 * Lists one object: that needs no permission on the bucket itself, and tells a missing bucket, which
 * answers like a missing object in other requests.
 *
 * @throws StoreError `ContainerNotFound`, and others
 */
export async function assertBucket(
  client: GcsClient,
  op: string,
  key: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { bucket } = client.options
  try {
    const answer = await client.send({
      method: 'GET',
      path: client.objectPath(),
      query: { maxResults: '1', prefix: client.objectName(''), fields: 'items(name)' },
      signal,
    })
    await readText(answer)
  } catch (error) {
    signal.throwIfAborted()
    const mapped = isStoreError(error) ? error : mapGcsError(error, { op, key, bucket })
    if (mapped.code !== 'NotFound') throw mapped
    throw new StoreError('ContainerNotFound', `The bucket ${bucket} does not exist.`, {
      op,
      key,
      cause: error,
      httpStatus: mapped.httpStatus,
      hint: 'Check the name of the bucket.',
    })
  }
}
