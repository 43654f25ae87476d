import type { StoreCapabilities } from './capabilities.ts'
import type { StoreError } from './store-error.ts'

/**
 * A store's token for one content of one object. Opaque: compare only for equality.
 * Different bytes have different versions; equal bytes may share one.
 */
export type Version = string & { readonly __brand: 'ObjectVersion' }

/**
 * Bytes that can be opened again, so that a put can be repeated. Each `open()` must yield the same
 * bytes. Without a `size` the backend uploads in parts.
 */
export interface PutSource {
  /** Exact length in bytes. Yielding more or fewer fails the put with `InvalidArgument`. */
  readonly size?: number | undefined
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}
export type PutBody = Uint8Array | PutSource

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ObjectInfo {
  readonly key: string
  /** Whole object, in bytes. */
  readonly size: number
  /** The store's clock, often whole seconds. For display and grace periods, never for ordering. */
  readonly lastModified: Date
  readonly version: Version
  /** The `createdAt` of the put, to the millisecond. `head` and `get` always set it if the put carried one; `list` only if `capabilities.listsCreatedAt`. */
  readonly createdAt?: Date | undefined
}

/** At most one condition. `ifAbsent` loser: `AlreadyExists`. `ifMatch` mismatch or missing object: `PreconditionFailed`. */
export type Precondition =
  | { readonly ifAbsent: true; readonly ifMatch?: undefined }
  | { readonly ifMatch: Version; readonly ifAbsent?: undefined }
  | { readonly ifAbsent?: undefined; readonly ifMatch?: undefined }

export type PutOptions = CallOptions &
  Precondition & {
    /**
     * The time that the object represents, kept to the millisecond. Stored where Litestream looks
     * for it: the modification time of a file; metadata `litestream-timestamp` on S3 and GCS,
     * `litestreamtimestamp` on Azure (RFC 3339, UTC).
     */
    readonly createdAt?: Date | undefined
  }

export interface PutResult {
  readonly size: number
  readonly version: Version
}

/** Half-open byte range; `end` absent means to the end. */
export interface ByteRange {
  readonly start: number
  readonly end?: number | undefined
}

export interface GetOptions extends CallOptions {
  readonly range?: ByteRange | undefined
  readonly ifMatch?: Version | undefined
}

export interface GetResult {
  /** `info.size` is the size of the whole object, even if a range was requested. */
  readonly info: ObjectInfo
  /** The bytes that `body` contains. */
  readonly range: { readonly start: number; readonly end: number }
  /**
   * For a single use. Yields no empty chunks, so the body of an empty object yields none. Leaving
   * the loop early frees the connection. Throws if bytes are missing; never ends early. The caller
   * may keep the chunks.
   */
  readonly body: AsyncIterable<Uint8Array>
}

export interface ListOptions extends CallOptions {
  /** A plain string prefix, not a path segment. */
  readonly prefix?: string | undefined
  /** Exclusive. Need not exist, need not share the prefix. */
  readonly startAfter?: string | undefined
}

export type DirEntry =
  | { readonly kind: 'object'; readonly object: ObjectInfo }
  | { readonly kind: 'prefix'; readonly prefix: string }

export interface DeleteOptions extends CallOptions {
  readonly ifMatch?: Version | undefined
}

export interface DeleteFailure {
  readonly key: string
  readonly error: StoreError
}

/**
 * Bytes under keys: all that walsync knows about a place that stores objects. Backends implement
 * `StoreDriver` instead, and `DriverStore` turns a driver into an `ObjectStore`.
 *
 * Rules for every method. Keys obey `assertKey` and are checked before any I/O (`InvalidKey`). An
 * aborted `signal` rejects with `signal.reason` itself; afterwards no partial object is visible and
 * no socket or handle of the call is open. After `close` new calls reject with `Closed`. A missing
 * container is `ContainerNotFound`, never "no such key". All other failures are `StoreError`s with
 * a code from a closed set, the key, and the provider's error as `cause`.
 */
export interface ObjectStore extends AsyncDisposable {
  /** Safe to log: scheme, container, prefix, endpoint host. Never a secret. */
  readonly description: string
  readonly capabilities: StoreCapabilities

  /** Resolves if the container exists and the credentials can read it. */
  check(options?: CallOptions): Promise<void>

  /**
   * Stores all of the body or nothing. Readers see the old object or the new one, never a mixture,
   * and the new one as soon as the promise resolves. An abort that races the commit may leave the
   * complete object. An error with `outcome: 'unknown'` says that the write may have happened.
   */
  put(key: string, body: PutBody, options?: PutOptions): Promise<PutResult>

  /** `NotFound` if missing; `InvalidRange` if `range.start` is at or past the end; `end` past the end is clamped. */
  get(key: string, options?: GetOptions): Promise<GetResult>

  /** `undefined` only if the key is missing. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>

  /**
   * Every key under `prefix`, strictly ascending by bytes, without duplicates. Pages are fetched
   * lazily; leaving the loop stops the paging. Half-written objects never appear.
   */
  list(options?: ListOptions): AsyncIterable<ObjectInfo>

  /**
   * One level: objects directly under `prefix`, and each deeper path once, as a prefix ending in
   * `/`, in one ascending order.
   */
  listDir(options?: ListOptions): AsyncIterable<DirEntry>

  /** Succeeds if the key is missing. */
  delete(key: string, options?: DeleteOptions): Promise<void>

  /**
   * Deletes many objects. Yields only the failures; the failure of a single key does not make it
   * throw.
   */
  deleteMany(
    keys: Iterable<string> | AsyncIterable<string>,
    options?: CallOptions,
  ): AsyncIterable<DeleteFailure>

  /** Idempotent. Calls in flight reject with `Closed`; resolves once sockets and handles are released. */
  close(): Promise<void>
}
