import type { TXID } from '../core/ltx/txid.ts'
import type { ReplicationError } from './replication-error.ts'

/**
 * - `starting`: not replicating yet.
 * - `running`: replicating, or trying to: see `lastError`.
 * - `restarting`: the walsync process ended unasked; the next one starts after a pause.
 * - `stopping`, `stopped`: `stop` was called.
 * - `failed`: ended for good, see `lastError`: fenced, or refused.
 */
export type ReplicaState = 'starting' | 'running' | 'restarting' | 'stopping' | 'stopped' | 'failed'

/** What is known without asking. */
export interface ReplicaStatus {
  readonly state: ReplicaState
  /** Process id of walsync; `undefined` while none runs. */
  readonly pid: number | undefined
  /** How often the walsync process was started again. */
  readonly restarts: number
  /** Newest transaction in the store; `undefined` until one is known. */
  readonly txid: TXID | undefined
  /** When that was last heard of. */
  readonly syncedAt: Date | undefined
  /** The last trouble, until an upload succeeds again. */
  readonly lastError: ReplicationError | undefined
}

/** One event of the walsync process; docs/reference/cli.md lists them with their fields. */
export interface ReplicaEvent {
  readonly time: Date
  /** `synced`, `base`, `store-error` and so on. */
  readonly event: string
  readonly txid?: TXID | undefined
  /** What went wrong, where something did. */
  readonly error?: ReplicationError | undefined
  readonly [field: string]: unknown
}

export interface ReplicaListeners {
  /** Everything that happens. */
  event: (event: ReplicaEvent) => void
  /** Trouble: of the store, the database or the walsync process. Nothing is thrown if nobody listens. */
  error: (error: ReplicationError) => void
  state: (state: ReplicaState) => void
}

export interface WaitOptions {
  /** Milliseconds to wait at most. Default: as long as it takes. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface SyncedState {
  /** Newest transaction in the store; `undefined` while the database is empty. */
  readonly txid: TXID | undefined
}

/** A database that is being replicated. */
export interface Replica extends AsyncDisposable {
  /**
   * Resolves when everything that was committed before the call is in the store. It goes with the
   * next upload, as `syncInterval` paces them; many callers share one.
   *
   * @throws ReplicationError `Timeout`, or what is wrong: `Store`, `Database`, `Fenced`, `Stopped`…
   */
  wait(options?: WaitOptions): Promise<SyncedState>
  /** The same, and uploads at once. */
  sync(options?: WaitOptions): Promise<SyncedState>
  status(): ReplicaStatus
  /** @returns stops listening */
  on<E extends keyof ReplicaListeners>(event: E, listener: ReplicaListeners[E]): () => void
  /** Everything that happens from now on, until `stop`; a slow reader misses the oldest of 10,000. */
  events(): AsyncIterableIterator<ReplicaEvent>
  /**
   * Uploads what was committed last and ends the walsync process. Later calls wait for the first. A
   * process that does not end within `shutdownTimeout` and another 10 s, because it is frozen, is
   * killed.
   *
   * @throws ReplicationError if not everything could be uploaded, or if that is not known; it is at the
   *   next start
   */
  stop(): Promise<void>
}
