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
import { objectName, type S3Connection } from './s3-client.ts'
import { deleteManyS3, deleteOne } from './s3-delete.ts'
import { mapS3Error } from './s3-errors.ts'
import { getS3, objectInfo } from './s3-get.ts'
import { listDirS3, listS3 } from './s3-list.ts'
import type { S3Options } from './s3-options.ts'
import { putS3 } from './s3-put.ts'

/**
 * Objects in a bucket of S3, Tigris or another service with S3's interface. Each method is one try:
 * retries belong to the layer above.
 */
export class S3ObjectStore implements ObjectStore {
  readonly description: string
  readonly capabilities: StoreCapabilities
  readonly #connection: S3Connection
  readonly #scope = new CallScope()
  readonly #writes = new ConditionalWrites()

  constructor(connection: S3Connection) {
    this.#connection = connection
    this.description = describe(connection.options)
    this.capabilities = capabilitiesOf(connection.options)
  }

  /** Lists one object: the permission that everything else builds on, and an answer that tells a missing bucket from refused credentials. */
  async check({ signal }: CallOptions = {}): Promise<void> {
    const { sdk, client, options } = this.#connection
    const Prefix = objectName(options, '')
    const command = new sdk.ListObjectsV2Command({ Bucket: options.bucket, Prefix, MaxKeys: 1 })
    await this.#scope.run({ op: 'check', signal }, async (abortSignal) => {
      await client.send(command, { abortSignal }).catch((error: unknown) => {
        throw mapS3Error(error, { op: 'check', bucket: options.bucket })
      })
    })
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<PutResult> {
    assertKey(key, 'put')
    assertPutOptions(key, options, this.capabilities)
    return await this.#scope.run({ op: 'put', key, signal: options.signal }, (signal) =>
      putS3(this.#connection, this.#writes, key, body, options, signal),
    )
  }

  async get(key: string, options: GetOptions = {}): Promise<GetResult> {
    assertKey(key, 'get')
    assertGetOptions(key, options)
    return await getS3(this.#connection, this.#scope, key, options)
  }

  async head(key: string, { signal }: CallOptions = {}): Promise<ObjectInfo | undefined> {
    assertKey(key, 'head')
    const { sdk, client, options } = this.#connection
    const command = new sdk.HeadObjectCommand({
      Bucket: options.bucket,
      Key: objectName(options, key),
    })
    return await this.#scope.run({ op: 'head', key, signal }, async (abortSignal) => {
      try {
        return objectInfo(key, await client.send(command, { abortSignal }))
      } catch (error) {
        const mapped = mapS3Error(error, { op: 'head', key, bucket: options.bucket })
        if (mapped.code !== 'NotFound') throw mapped
        await this.#assertBucket(key, abortSignal)
        return undefined
      }
    })
  }

  list(options: ListOptions = {}): AsyncIterable<ObjectInfo> {
    return this.#scope.iterate({ op: 'list', signal: options.signal }, (signal) =>
      listS3(this.#connection, options, signal),
    )
  }

  listDir(options: ListOptions = {}): AsyncIterable<DirEntry> {
    return this.#scope.iterate({ op: 'list', signal: options.signal }, (signal) =>
      listDirS3(this.#connection, options, signal),
    )
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<void> {
    assertKey(key, 'delete')
    assertDeleteOptions(key, options, this.capabilities)
    const { ifMatch } = options
    await this.#scope.run({ op: 'delete', key, signal: options.signal }, (signal) =>
      deleteOne(this.#connection, key, ifMatch, signal),
    )
  }

  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    { signal }: CallOptions = {},
  ): AsyncIterable<DeleteFailure> {
    return this.#scope.iterate({ op: 'delete', signal }, (linked) =>
      deleteManyS3(this.#connection, keys, linked),
    )
  }

  async close(): Promise<void> {
    await this.#scope.close()
    this.#connection.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** An answer to HEAD has no body, so a missing bucket looks like a missing key: "no backup" must not be said of a mistyped bucket. */
  async #assertBucket(key: string, abortSignal: AbortSignal): Promise<void> {
    const { sdk, client, options } = this.#connection
    try {
      await client.send(new sdk.HeadBucketCommand({ Bucket: options.bucket }), { abortSignal })
    } catch (error) {
      const named = (error as { name?: string }).name === 'NotFound'
      const cause = named ? Object.assign(error as Error, { name: 'NoSuchBucket' }) : error
      throw mapS3Error(cause, { op: 'head', key, bucket: options.bucket })
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
