import {
  type DeleteFailure,
  type DirEntry,
  type DriverBody,
  type DriverCall,
  type DriverDeleteOptions,
  type DriverGetOptions,
  type DriverGetResult,
  type DriverListOptions,
  type DriverOptions,
  type DriverPutOptions,
  MAX_KEY_BYTES,
  type ObjectInfo,
  type PutResult,
  type StoreCapabilities,
  type StoreDriver,
  type StoreError,
} from '../../core/store/index.ts'
import { objectName, type S3Connection } from './s3-client.ts'
import { deleteBatch, deleteOne } from './s3-delete.ts'
import { mapS3Error } from './s3-errors.ts'
import { getS3, objectInfo } from './s3-get.ts'
import { assertListing, listDirS3, listS3 } from './s3-list.ts'
import type { S3Options } from './s3-options.ts'
import { putS3 } from './s3-put.ts'

/** Requests to a bucket of S3, Tigris or another S3-compatible service. */
export class S3Driver implements StoreDriver {
  readonly description: string
  readonly capabilities: StoreCapabilities
  readonly #connection: S3Connection

  constructor(connection: S3Connection) {
    this.#connection = connection
    this.description = describe(connection.options)
    this.capabilities = capabilitiesOf(connection.options)
  }

  /**
   * Lists one object: every command needs that permission, and the response distinguishes a missing
   * bucket from refused credentials.
   */
  async check({ signal }: DriverOptions): Promise<void> {
    const { sdk, client, options } = this.#connection
    const Prefix = objectName(options, '')
    const command = new sdk.ListObjectsV2Command({ Bucket: options.bucket, Prefix, MaxKeys: 1 })
    assertListing(await client.send(command, { abortSignal: signal }), options.bucket)
  }

  put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult> {
    return putS3(this.#connection, key, body, options)
  }

  get(key: string, options: DriverGetOptions): Promise<DriverGetResult> {
    return getS3(this.#connection, key, options)
  }

  async head(key: string, { signal }: DriverOptions): Promise<ObjectInfo | undefined> {
    const { sdk, client, options } = this.#connection
    const Key = objectName(options, key)
    const command = new sdk.HeadObjectCommand({ Bucket: options.bucket, Key })
    try {
      return objectInfo('head', key, await client.send(command, { abortSignal: signal }))
    } catch (error) {
      const mapped = this.mapError(error, { op: 'head', key })
      if (mapped.code !== 'NotFound') throw mapped
      await this.#assertBucket(key, signal)
      return undefined
    }
  }

  list(options: DriverListOptions): AsyncIterable<ObjectInfo> {
    return listS3(this.#connection, options)
  }

  listDir(options: DriverListOptions): AsyncIterable<DirEntry> {
    return listDirS3(this.#connection, options)
  }

  delete(key: string, options: DriverDeleteOptions): Promise<void> {
    return deleteOne(this.#connection, key, options)
  }

  deleteBatch(
    keys: readonly string[],
    { signal }: DriverOptions,
  ): Promise<readonly DeleteFailure[]> {
    return deleteBatch(this.#connection, keys, signal)
  }

  mapError(error: unknown, call: DriverCall): StoreError {
    return mapS3Error(error, { ...call, options: this.#connection.options })
  }

  async close(): Promise<void> {
    this.#connection.destroy()
  }

  /**
   * The response to HEAD has no body, so a missing bucket looks like a missing key. But a mistyped
   * bucket must not pass for an empty one.
   */
  async #assertBucket(key: string, abortSignal: AbortSignal): Promise<void> {
    const { sdk, client, options } = this.#connection
    try {
      await client.send(new sdk.HeadBucketCommand({ Bucket: options.bucket }), { abortSignal })
    } catch (error) {
      const named = (error as { name?: string }).name === 'NotFound'
      const cause = named ? Object.assign(error as Error, { name: 'NoSuchBucket' }) : error
      throw this.mapError(cause, { op: 'head', key })
    }
  }
}

function describe({ scheme, bucket, prefix, endpoint }: S3Options): string {
  const at = endpoint === undefined ? '' : ` at ${endpoint.host}`
  return `${scheme}://${bucket}${prefix === '' ? '' : `/${prefix}`}${at}`
}

function capabilitiesOf({ profile, consistency }: S3Options): StoreCapabilities {
  return {
    ...profile.conditions,
    consistency,
    flatNamespace: true,
    listsCreatedAt: false,
    maxObjectBytes: 5 * 1024 ** 4,
    maxKeyBytes: MAX_KEY_BYTES,
  }
}
