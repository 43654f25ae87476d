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
  type StoreError,
} from '../../core/store/index.ts'
import { type AzureConnection, blobName } from './azure-client.ts'
import { assertContainer } from './azure-container.ts'
import { mapAzureError } from './azure-errors.ts'
import { blobInfo, getAzure } from './azure-get.ts'
import { listAzure, listDirAzure } from './azure-list.ts'
import { putAzure } from './azure-put.ts'

/** Requests to a container of Azure Blob Storage. */
export class AzureDriver implements StoreDriver {
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

  constructor(connection: AzureConnection) {
    const { container, options } = connection
    const { host } = new URL(container.url)
    const prefix = options.prefix === '' ? '' : `/${options.prefix}`
    this.#connection = connection
    this.description = `az://${options.container}${prefix} at ${host}`
  }

  check({ signal }: DriverOptions): Promise<void> {
    return assertContainer(this.#connection, 'check', undefined, signal)
  }

  put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult> {
    return putAzure(this.#connection, key, body, options)
  }

  async get(key: string, options: DriverGetOptions): Promise<DriverGetResult> {
    const { signal } = options
    try {
      return await getAzure(this.#connection, key, options)
    } catch (error) {
      signal.throwIfAborted()
      const mapped = this.mapError(error, { op: 'get', key })
      if (mapped.code === 'NotFound') await assertContainer(this.#connection, 'get', key, signal)
      throw mapped
    }
  }

  async head(key: string, { signal }: DriverOptions): Promise<ObjectInfo | undefined> {
    try {
      return blobInfo(key, await this.#blob(key).getProperties({ abortSignal: signal }))
    } catch (error) {
      const mapped = this.mapError(error, { op: 'head', key })
      if (mapped.code !== 'NotFound') throw mapped
      await assertContainer(this.#connection, 'head', key, signal)
      return undefined
    }
  }

  list(options: DriverListOptions): AsyncIterable<ObjectInfo> {
    return listAzure(this.#connection, options)
  }

  listDir(options: DriverListOptions): AsyncIterable<DirEntry> {
    return listDirAzure(this.#connection, options)
  }

  async delete(key: string, { ifMatch, signal }: DriverDeleteOptions): Promise<void> {
    const conditions = ifMatch === undefined ? {} : { ifMatch }
    try {
      await this.#blob(key).delete({ abortSignal: signal, conditions })
    } catch (error) {
      const condition = ifMatch === undefined ? undefined : 'ifMatch'
      const mapped = this.mapError(error, { op: 'delete', key, condition })
      if (mapped.code !== 'NotFound' || ifMatch !== undefined) throw mapped
    }
  }

  mapError(error: unknown, call: DriverCall): StoreError {
    if (isStoreError(error)) return error
    return mapAzureError(error, { ...call, container: this.#connection.options.container })
  }

  async close(): Promise<void> {
    this.#connection.destroy()
  }

  #blob(key: string) {
    return this.#connection.container.getBlobClient(blobName(this.#connection.options, key))
  }
}
