/**
 * The requests that a fault applies to. `commit` is the request that makes an upload in parts visible,
 * `part` one that carries a part; a put in one request is `put`. `list` and `listDir` are both `list`;
 * a batch delete is `delete`.
 */
export type FaultTarget = 'put' | 'part' | 'commit' | 'get' | 'head' | 'list' | 'delete' | 'any'

export interface FaultOptions {
  /** Default `any`. */
  readonly on?: FaultTarget | undefined
  /**
   * How many matching requests are hit before the fault is used up. Default 1; `Infinity`: until
   * `reset`.
   */
  readonly times?: number | undefined
  /** How many matching requests pass before the first one is hit. Default 0. */
  readonly skip?: number | undefined
}

/**
 * Breaks the connection between a store and its service: a proxy for HTTP backends, `FaultyStore` for
 * others. Several faults may be scripted at once; each request uses up the first that matches, in the
 * order in which they were scripted. Nothing is hit after `reset`.
 */
export interface FaultControl {
  /**
   * Removes all scripted faults, releases stalled requests with a connection reset, and sets the
   * counts to 0.
   */
  reset(): void

  /**
   * Number of requests that clients have sent since `reset`, whether hit or not. Default target:
   * all.
   */
  requestCount(on?: FaultTarget): number

  /** The service carries out the request, but the response is lost (connection reset). */
  dropResponse(options?: FaultOptions): void

  /** The connection is reset before the service sees the request. */
  dropRequest(options?: FaultOptions): void

  /**
   * The response body ends after `bytes` bytes: with a connection reset, or `cleanly`, as from a
   * careless proxy.
   */
  cutBody(bytes: number, options?: FaultOptions & { readonly cleanly?: boolean | undefined }): void

  /** The request is accepted and never answered. With `afterCommit` the service carries it out first. */
  stall(options?: FaultOptions & { readonly afterCommit?: boolean | undefined }): void

  /**
   * The service answers with its own error for this HTTP status, in its own format and with its
   * usual code, without carrying out the request. 409 is a write conflict in which nothing was
   * stored (S3 `ConditionalRequestConflict`); 400 with `code` set to `checksum` is a damaged upload
   * (`BadDigest`).
   */
  answer(
    status: number,
    options?: FaultOptions & {
      readonly code?: 'checksum' | undefined
      /** `Retry-After`, in milliseconds (rounded up to seconds on the wire). */
      readonly retryAfterMs?: number | undefined
    },
  ): void

  /** The service ignores the range and answers with the whole object. */
  ignoreRange(options?: FaultOptions): void

  /** Calls `hook` when a matching request has arrived, and waits for it before the service sees the request. */
  before(hook: () => Promise<void>, options?: FaultOptions): void

  /** Deletes of this key are refused with the service's error for "access denied", also inside a batch. */
  refuseDelete(key: string): void
}
