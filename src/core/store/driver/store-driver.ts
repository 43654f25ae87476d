import type { StoreCapabilities } from '../capabilities.ts'
import type {
  ByteRange,
  DeleteFailure,
  DirEntry,
  ObjectInfo,
  Precondition,
  PutResult,
  Version,
} from '../object-store.ts'
import type { StoreError } from '../store-error.ts'

/** What a call is about: enough to map a provider's error to a `StoreError`. */
export interface DriverCall {
  readonly op: 'check' | 'put' | 'get' | 'head' | 'list' | 'delete'
  /** Absent for calls that concern no single key. */
  readonly key?: string | undefined
  /** The condition that a put or delete carried, if any. */
  readonly condition?: 'ifAbsent' | 'ifMatch' | undefined
}

export interface DriverOptions {
  /** Aborts when the caller gives up or the store is closed. The call must settle soon afterwards. */
  readonly signal: AbortSignal
}

export type DriverPutOptions = DriverOptions &
  Precondition & {
    /** Must be stored to the millisecond; `PutOptions.createdAt` says where. */
    readonly createdAt?: Date | undefined
  }

export interface DriverGetOptions extends DriverOptions {
  /** Already checked to be `0 <= start < end`; the driver checks that the object is long enough. */
  readonly range?: ByteRange | undefined
  readonly ifMatch?: Version | undefined
}

export interface DriverListOptions extends DriverOptions {
  /** A plain string prefix; empty for everything. */
  readonly prefix: string
  /** Exclusive lower bound; empty for none. */
  readonly startAfter: string
}

export interface DriverDeleteOptions extends DriverOptions {
  readonly ifMatch?: Version | undefined
}

/**
 * The bytes of one put. Iterating yields non-empty chunks, each valid until the next one is
 * requested. It throws if the source breaks, ends early or exceeds its declared size or the store's
 * `maxObjectBytes`; let such errors through unchanged. Each loop starts from the beginning.
 */
export interface DriverBody extends AsyncIterable<Uint8Array> {
  /** Exact length in bytes, or `undefined` if the caller does not know it. */
  readonly size: number | undefined
  /** All bytes, if the caller has them in memory. Do not change them, or keep them after the put. */
  readonly bytes: Uint8Array | undefined
}

export interface DriverGetResult {
  /** Describes the whole object, even if a range was requested. */
  readonly info: ObjectInfo
  /** The bytes that `body` contains, with `end` clamped to the size of the object. */
  readonly range: { readonly start: number; readonly end: number }
  /**
   * Bytes in memory, or a stream of chunks that is iterated at most once. The caller owns both. The
   * signal of the call stays live until the stream ends; when it aborts, release the connection.
   */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

/**
 * The part of a store that differs between services: requests, and what their errors mean.
 * `DriverStore` turns a driver into an `ObjectStore` and does everything else, so a driver can rely
 * on the following: keys and options are legal, conditions are among those that `capabilities`
 * declares, no call arrives after `close`, and `signal` is always set.
 *
 * A driver makes one attempt per call. The layer above it retries, and finds out whether a write
 * whose response was lost took effect.
 */
export interface StoreDriver {
  /** Safe to log: scheme, container, prefix, endpoint host. Never a secret. */
  readonly description: string
  readonly capabilities: StoreCapabilities

  /** Resolves if the container exists and the credentials can read it. */
  check(options: DriverOptions): Promise<void>

  /**
   * Stores all of the body or nothing. The condition is checked in the same step that makes the
   * object visible.
   */
  put(key: string, body: DriverBody, options: DriverPutOptions): Promise<PutResult>

  /** @throws StoreError `NotFound`, `PreconditionFailed`, `InvalidRange` (see `resolveRange`) */
  get(key: string, options: DriverGetOptions): Promise<DriverGetResult>

  /** `undefined` only if the key is missing; a missing container is `ContainerNotFound`. */
  head(key: string, options: DriverOptions): Promise<ObjectInfo | undefined>

  /** Every key under `prefix`, strictly ascending by bytes. Pages are fetched as needed. */
  list(options: DriverListOptions): AsyncIterable<ObjectInfo>

  /**
   * One level, with objects and folders in one order. Default: folds `list`, which reads everything
   * below.
   */
  listDir?(options: DriverListOptions): AsyncIterable<DirEntry>

  /** A missing key is a success, unless `ifMatch` is set. */
  delete(key: string, options: DriverDeleteOptions): Promise<void>

  /**
   * Deletes up to 1,000 different keys and returns those that failed. If it throws, the error is
   * reported for every key of the batch. Default: single deletes, 16 at a time.
   */
  deleteBatch?(keys: readonly string[], options: DriverOptions): Promise<readonly DeleteFailure[]>

  /**
   * Maps an error to a `StoreError`. Called for everything that a method or an iterable of this
   * driver throws, except after an abort. Default: `Unknown`, with the error as `cause`.
   */
  mapError?(error: unknown, call: DriverCall): StoreError

  /** Releases connections and handles. Called once, after every call has settled. */
  close(): Promise<void>
}
