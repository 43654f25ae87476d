import type { ObjectStore } from '../core/store/index.ts'
import type { FaultControl } from './faults.ts'

/**
 * What the contract suite needs to know about a backend. Only `name`, `open` and `close` are
 * required; cases that need a missing member are skipped by name.
 *
 * The suite works under random prefixes that start with `contract-` and deletes only what it put
 * there.
 */
export interface ContractHarness {
  readonly name: string

  /**
   * Opens a new client of the container, rooted at `prefix` (a key path without a trailing slash).
   * Two clients with the same prefix see the same objects.
   */
  open(prefix: string): Promise<ObjectStore>

  /** A client of a container (bucket, folder) that does not exist. Needed by ER01. */
  openMissingContainer?(): Promise<ObjectStore>

  /** A client whose credentials the service refuses. Needed by ER02. */
  openRefused?(): Promise<ObjectStore>

  /**
   * Secrets that no error, description or log line may contain: keys, tokens, signatures. Used by
   * ER03.
   */
  readonly secrets?: readonly string[] | undefined

  /** How a second process opens the same container. Needed by CD06, CL04 and FS15. */
  readonly child?: ContractChild | undefined

  /**
   * Faults between client and service. Needed by the cases about broken connections and errors. Without
   * a network: `new FaultyStore(store, script)` in `open`, and `faults: script`.
   */
  readonly faults?: FaultControl | undefined

  /** The retry budget of the stores that `open` returns; absent if they do not retry. `behindRetry(harness)` sets both. */
  readonly retry?: ContractRetry | undefined

  /** Names of half-written objects that the interface hides: unfinished uploads, staged files. */
  residue?(prefix: string): Promise<readonly string[]>

  readonly limits?: ContractLimits | undefined

  close(): Promise<void>
}

/** A module that a child process imports; it must export `openStore(prefix, data)`. */
export interface ContractChild {
  /** Absolute `file:` URL of the module. */
  readonly module: string
  /** Passed to `openStore`; must survive JSON. */
  readonly data: unknown
}

/** What the module of `ContractChild` exports. */
export interface ContractChildModule {
  openStore(prefix: string, data: unknown): Promise<ObjectStore>
}

/**
 * Keep these small, or the suite takes long. Good values: 4 attempts, 3,000 ms in all, 400 ms for one
 * attempt, first delay of at most 20 ms.
 */
export interface ContractRetry {
  readonly attempts: number
  readonly totalMs: number
  readonly attemptTimeoutMs: number
}

/** Sizes of the long cases. Defaults suit a local backend. */
export interface ContractLimits {
  /** Size of the big objects, in bytes. Default 64 MiB. */
  readonly bigObjectBytes?: number | undefined
  /** Number of keys in the long listing. Default 10,000. */
  readonly manyKeys?: number | undefined
  /** Number of keys in the large delete. Default 2,501: more than two batches of any provider. */
  readonly deleteKeys?: number | undefined
  /** Entries on one page of the store's listing. Default 1,000. */
  readonly pageSize?: number | undefined
  /** Size from which the backend uploads in parts, in bytes. Default 8 MiB. */
  readonly partBytes?: number | undefined
  /** Keys in a one-winner race. Default 50. */
  readonly raceRounds?: number | undefined
}
