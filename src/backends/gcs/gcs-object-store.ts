import {
  assertDeleteOptions,
  assertGetOptions,
  assertKey,
  assertPutOptions,
  type CallOptions,
  CallScope,
  type DeleteFailure,
  type DeleteOptions,
  type DirEntry,
  deleteEach,
  type GetOptions,
  type GetResult,
  isStoreError,
  type ListOptions,
  MAX_KEY_BYTES,
  type ObjectInfo,
  type ObjectStore,
  type PutBody,
  type PutOptions,
  type PutResult,
  type StoreCapabilities,
  StoreError,
  type Version,
} from '../../core/store/index.ts'
import { ConditionalWrites } from '../shared/conditional-write.ts'
import { assertBucket } from './gcs-bucket.ts'
import type { GcsClient } from './gcs-client.ts'
import { mapGcsError } from './gcs-errors.ts'
import { getGcs } from './gcs-get.ts'
import { listDirGcs, listGcs } from './gcs-list.ts'
import { putGcs } from './gcs-put.ts'
import { type GcsResource, RESOURCE_FIELDS, resourceInfo } from './gcs-resource.ts'

/** Objects in a bucket of Google Cloud Storage. Each method is one try: retries belong to the layer above. */
export class GcsObjectStore implements ObjectStore {
  readonly description: string
  readonly capabilities: StoreCapabilities
  readonly #client: GcsClient
  readonly #scope = new CallScope()
  readonly #writes = new ConditionalWrites()

  constructor(client: GcsClient) {
    const { bucket, prefix, endpoint, emulator } = client.options
    const at = endpoint.host === 'storage.googleapis.com' ? '' : ` at ${endpoint.host}`
    this.#client = client
    this.description = `gs://${bucket}${prefix === '' ? '' : `/${prefix}`}${at}`
    this.capabilities = {
      ifAbsent: 'atomic',
      ifMatch: 'atomic',
      // fake-gcs-server overlooks preconditions on a delete.
      deleteIfMatch: emulator ? 'none' : 'atomic',
      consistency: 'strong',
      flatNamespace: true,
      listsCreatedAt: true,
      maxObjectBytes: 5 * 1024 ** 4,
      maxKeyBytes: MAX_KEY_BYTES,
    }
  }

  async check({ signal }: CallOptions = {}): Promise<void> {
    await this.#scope.run({ op: 'check', signal }, (linked) =>
      assertBucket(this.#client, 'check', undefined, linked),
    )
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    assertGeneration('put', key, options.ifMatch)
    return await this.#scope.run({ op: 'put', key, signal: options.signal }, (signal) =>
      putGcs(this.#client, this.#writes, key, body, options, signal),
    )
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    assertGeneration('get', key, options.ifMatch)
    return await getGcs(this.#client, this.#scope, key, options)
  }

  async head(key: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    return await this.#scope.run({ op: 'head', key, signal }, async (linked) => {
      try {
        const resource = await this.#client.sendJson<GcsResource>({
          method: 'GET',
          path: this.#client.objectPath(key),
          query: { fields: RESOURCE_FIELDS },
          signal: linked,
        })
        return resourceInfo(key, resource)
      } catch (error) {
        const mapped = this.#map('head', key, error)
        if (mapped.code !== 'NotFound') throw mapped
        await assertBucket(this.#client, 'head', key, linked)
        return undefined
      }
    })
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#scope.iterate({ op: 'list', signal: options.signal }, (signal) =>
      listGcs(this.#client, options, signal),
    )
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return this.#scope.iterate({ op: 'list', signal: options.signal }, (signal) =>
      listDirGcs(this.#client, options, signal),
    )
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    assertGeneration('delete', key, options.ifMatch)
    await this.#scope.run({ op: 'delete', key, signal: options.signal }, async (signal) => {
      try {
        const answer = await this.#client.send({
          method: 'DELETE',
          path: this.#client.objectPath(key),
          query: { ifGenerationMatch: options.ifMatch },
          signal,
        })
        answer.resume()
      } catch (error) {
        const mapped = this.#map('delete', key, error, options.ifMatch)
        if (mapped.code !== 'NotFound') throw mapped
        await assertBucket(this.#client, 'delete', key, signal)
      }
    })
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    { signal }: CallOptions = {},
  ): AsyncIterable<DeleteFailure> {
    return this.#scope.iterate({ op: 'delete', signal }, (linked) =>
      deleteEach(keys, (key) => this.delete(key, { signal: linked }), linked),
    )
  }

  async close(): Promise<void> {
    await this.#scope.close()
    this.#client.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #map(op: string, key: string, error: unknown, ifMatch?: Version): StoreError {
    if (isStoreError(error)) return error
    const { bucket } = this.#client.options
    const condition = ifMatch === undefined ? undefined : 'ifMatch'
    return mapGcsError(error, { op, key, bucket, write: op === 'delete', condition })
  }
}

/** A version that is no generation can match nothing, and GCS would call it a bad request. */
function assertGeneration(op: string, key: string, version: Version | undefined): void {
  if (version === undefined || /^\d+$/.test(version)) return
  throw new StoreError('PreconditionFailed', `The object ${key} is not the expected version.`, {
    op,
    key,
  })
}
