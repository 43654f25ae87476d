import {
  type DirEntry,
  type DriverBody,
  type DriverCall,
  type DriverDeleteOptions,
  type DriverGetOptions,
  type DriverGetResult,
  type DriverListOptions,
  type DriverOptions,
  type DriverPutOptions,
  isStoreError,
  MAX_KEY_BYTES,
  type ObjectInfo,
  type PutResult,
  type StoreCapabilities,
  type StoreDriver,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { readText } from '../shared/http-transport.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError, notFromGcs } from './gcs-errors.ts'
import { getGcs } from './gcs-get.ts'
import { assertListing, type ListAnswer, listDirGcs, listGcs } from './gcs-list.ts'
import { putGcs } from './gcs-put.ts'
import { type GcsResource, isGeneration, RESOURCE_FIELDS, resourceInfo } from './gcs-resource.ts'

/** How GCS answers a delete. */
const NO_CONTENT = 204

/** Requests to a bucket of Google Cloud Storage. */
export class GcsDriver implements StoreDriver {
  readonly description: string
  readonly capabilities: StoreCapabilities
  readonly #client: GcsClient

  constructor(client: GcsClient) {
    const { bucket, prefix, endpoint, emulator } = client.options
    const at = endpoint.host === 'storage.googleapis.com' ? '' : ` at ${endpoint.host}`
    this.#client = client
    this.description = `gs://${bucket}${prefix === '' ? '' : `/${prefix}`}${at}`
    this.capabilities = {
      ifAbsent: 'atomic',
      ifMatch: 'atomic',
      // fake-gcs-server ignores preconditions on a delete.
      deleteIfMatch: emulator ? 'none' : 'atomic',
      consistency: 'strong',
      flatNamespace: true,
      listsCreatedAt: true,
      maxObjectBytes: 5 * 1024 ** 4,
      maxKeyBytes: MAX_KEY_BYTES,
    }
  }

  check({ signal }: DriverOptions): Promise<void> {
    return assertBucket(this.#client, 'check', undefined, signal)
  }

  async put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult> {
    assertGeneration('put', key, options.ifMatch)
    return await putGcs(this.#client, key, body, options)
  }

  async get(key: string, options: DriverGetOptions): Promise<DriverGetResult> {
    assertGeneration('get', key, options.ifMatch)
    try {
      return await getGcs(this.#client, key, options)
    } catch (error) {
      throw await this.#objectError(key, 'get', error, options.signal)
    }
  }

  async head(key: string, { signal }: DriverOptions): Promise<ObjectInfo | undefined> {
    try {
      const resource = await this.#client.sendJson<GcsResource>({
        method: 'GET',
        path: this.#client.objectPath(key),
        query: { fields: RESOURCE_FIELDS },
        signal,
      })
      return resourceInfo('head', key, resource)
    } catch (error) {
      const mapped = await this.#objectError(key, 'head', error, signal)
      if (mapped.code !== 'NotFound') throw mapped
      return undefined
    }
  }

  list(options: DriverListOptions): AsyncIterable<ObjectInfo> {
    return listGcs(this.#client, options)
  }

  listDir(options: DriverListOptions): AsyncIterable<DirEntry> {
    return listDirGcs(this.#client, options)
  }

  async delete(key: string, { ifMatch, signal }: DriverDeleteOptions): Promise<void> {
    assertGeneration('delete', key, ifMatch)
    try {
      const answer = await this.#client.send({
        method: 'DELETE',
        path: this.#client.objectPath(key),
        query: { ifGenerationMatch: ifMatch },
        signal,
      })
      const body = await readText(answer)
      // fake-gcs-server answers like this.
      const isEmulated = this.#client.options.emulator && body.trim() === 'null'
      if (answer.statusCode !== NO_CONTENT && !isEmulated) await this.#confirmDeleted(key, signal)
    } catch (error) {
      const condition = ifMatch === undefined ? undefined : 'ifMatch'
      const mapped = await this.#objectError(key, 'delete', error, signal, condition)
      if (mapped.code !== 'NotFound') throw mapped
    }
  }

  mapError(error: unknown, call: DriverCall): StoreError {
    if (isStoreError(error)) return error
    return mapGcsError(error, { ...call, bucket: this.#client.options.bucket })
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }

  /**
   * Another success than 204 comes from something in front of the service, which has deleted
   * nothing.
   */
  async #confirmDeleted(key: string, signal: AbortSignal): Promise<void> {
    if ((await this.head(key, { signal })) === undefined) return
    const message = `The delete of ${key} was answered with a success, but the object is still there.`
    throw notFromGcs('delete', message, key)
  }

  /**
   * Maps the error of a call on one object, after making sure that "not found" does not mean the
   * bucket.
   */
  async #objectError(
    key: string,
    op: DriverCall['op'],
    error: unknown,
    signal: AbortSignal,
    condition?: DriverCall['condition'],
  ): Promise<StoreError> {
    signal.throwIfAborted()
    const mapped = this.mapError(error, { op, key, condition })
    if (mapped.code === 'NotFound') await assertBucket(this.#client, op, key, signal)
    return mapped
  }
}

/** A version that is not a generation cannot match anything, and GCS would call it a bad request. */
function assertGeneration(op: string, key: string, version: Version | undefined): void {
  if (version === undefined || isGeneration(version)) return
  throw new StoreError('PreconditionFailed', `The object ${key} is not the expected version.`, {
    op,
    key,
  })
}

/**
 * Lists one object. That needs no permission on the bucket itself, and it detects a missing bucket,
 * which other requests answer like a missing object.
 *
 * @throws StoreError `ContainerNotFound`, and others
 */
async function assertBucket(
  client: GcsClient,
  op: string,
  key: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { bucket } = client.options
  try {
    const answer = await client.sendJson<ListAnswer>({
      method: 'GET',
      path: client.objectPath(),
      query: { maxResults: '1', prefix: client.objectName(''), fields: 'kind,items(name)' },
      signal,
    })
    assertListing(op, answer, bucket)
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
