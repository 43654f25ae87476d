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
  type ListOptions,
  MAX_KEY_BYTES,
  type ObjectInfo,
  type ObjectStore,
  type PutBody,
  type PutOptions,
  type PutResult,
  type StoreCapabilities,
} from '../../core/store/index.ts'
import { ConditionalWrites } from '../shared/conditional-write.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { assertContainer } from './azure-container.ts'
import { mapAzureError } from './azure-errors.ts'
import { blobInfo, getAzure } from './azure-get.ts'
import { listAzure, listDirAzure } from './azure-list.ts'
import { putAzure } from './azure-put.ts'

/** Blobs in a container of Azure Blob Storage. Each method is one try: retries belong to the layer above. */
export class AzureObjectStore implements ObjectStore {
  readonly description: string
  readonly capabilities: StoreCapabilities = {
    ifAbsent: 'atomic',
    ifMatch: 'atomic',
    deleteIfMatch: 'atomic',
    consistency: 'strong',
    flatNamespace: true,
    listsCreatedAt: true,
    maxObjectBytes: 190 * 1024 ** 4,
    maxKeyBytes: MAX_KEY_BYTES,
  }
  readonly #connection: AzureConnection
  readonly #scope = new CallScope()
  readonly #writes = new ConditionalWrites()

  constructor(connection: AzureConnection) {
    const { container, options } = connection
    const { host } = new URL(container.url)
    const prefix = options.prefix === '' ? '' : `/${options.prefix}`
    this.#connection = connection
    this.description = `az://${options.container}${prefix} at ${host}`
  }

  async check({ signal }: CallOptions = {}): Promise<void> {
    await this.#scope.run({ op: 'check', signal }, (linked) =>
      assertContainer(this.#connection, 'check', undefined, linked),
    )
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    return await this.#scope.run({ op: 'put', key, signal: options.signal }, (signal) =>
      putAzure(this.#connection, this.#writes, key, body, options, signal),
    )
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    return await getAzure(this.#connection, this.#scope, key, options)
  }

  async head(key: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    const { container, options } = this.#connection
    return await this.#scope.run({ op: 'head', key, signal }, async (abortSignal) => {
      try {
        const blob = container.getBlobClient(blobName(options, key))
        return blobInfo(key, await blob.getProperties({ abortSignal }))
      } catch (error) {
        const mapped = mapAzureError(error, { op: 'head', key, container: options.container })
        if (mapped.code !== 'NotFound') throw mapped
        await assertContainer(this.#connection, 'head', key, abortSignal)
        return undefined
      }
    })
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#scope.iterate({ op: 'list', signal: options.signal }, (signal) =>
      listAzure(this.#connection, options, signal),
    )
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return this.#scope.iterate({ op: 'list', signal: options.signal }, (signal) =>
      listDirAzure(this.#connection, options, signal),
    )
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    const { container } = this.#connection.options
    const { ifMatch } = options
    await this.#scope.run({ op: 'delete', key, signal: options.signal }, async (abortSignal) => {
      try {
        const name = blobName(this.#connection.options, key)
        await this.#connection.container.getBlobClient(name).delete({
          abortSignal,
          conditions: ifMatch === undefined ? {} : { ifMatch },
        })
      } catch (error) {
        const condition = ifMatch === undefined ? undefined : 'ifMatch'
        const context = { op: 'delete', key, container, write: true, condition } as const
        const mapped = mapAzureError(error, context)
        if (mapped.code !== 'NotFound') throw mapped
        if (ifMatch === undefined) return
        throw mapped
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
    this.#connection.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
