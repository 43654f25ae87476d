import { Backoff } from '../async/backoff.ts'
import type { TXID } from '../ltx/index.ts'
import type { RestorePoint } from '../restore/restore-error.ts'
import {
  CHAIN_BROKEN,
  type EngineEvent,
  type FencedError,
  failureEvent,
  failureIn,
  messageOf,
  successIn,
  WORKS,
  type Work,
} from './events.ts'
import type { PendingFile } from './upload/pending-file.ts'

export interface DatabaseStatus {
  readonly name: string
  readonly path: string
  readonly state: 'starting' | 'waiting' | 'replicating' | 'behind' | 'fenced' | 'stopped'
  /** False while the database is idle or missing: no connection and no descriptor is open. */
  readonly isOpen: boolean
  /** Newest TXID in the store. */
  readonly txid: bigint | undefined
  readonly lastSyncAt: Date | undefined
  /** Files that have a TXID and are not in the store yet. */
  readonly pendingFiles: number
  readonly walBytes: number
  readonly spoolBytes: number
  /** The most severe failure that is not over, of uploads, snapshots, upkeep or the database itself. */
  readonly lastError: string | undefined
  /** When that failure began. */
  readonly errorSince: Date | undefined
  /** Since when a database that had been replicated has been missing or empty. */
  readonly waitingSince: Date | undefined
  /** Age of the oldest known change that is not in the store, in milliseconds; 0 if there is none. */
  readonly lagMs: number
  /** Files of the replica, as far as this process knows. */
  readonly replicaFiles: number
  readonly replicaBytes: number
  /** First and last state that can be restored; `undefined` before the replica has been listed, or if nothing can be restored. */
  readonly restorable:
    | { readonly from: DatedRestorePoint; readonly to: DatedRestorePoint }
    | undefined
}

export interface DatedRestorePoint extends RestorePoint {
  readonly time: Date
}

/** What the other parts of a tracker measure at one moment. */
export type Measurements = Omit<
  DatabaseStatus,
  'name' | 'txid' | 'lastSyncAt' | 'lastError' | 'errorSince' | 'waitingSince' | 'state'
>

interface Failure {
  readonly error: unknown
  /** When the first attempt failed, in milliseconds since 1970. */
  readonly since: number
}

/**
 * The state of one database's replication, kept in one place: every event passes through here, and
 * `status`, exit codes and monitors read the result.
 */
export class ReplicationStatus {
  readonly #database: string
  readonly #onEvent: (event: EngineEvent) => void
  /** Names of the databases of the process that have a failure. */
  readonly #failing: Set<string>
  readonly #now: () => number
  readonly #failures = new Map<Work, Failure>()
  readonly #backoff: Backoff
  #state: DatabaseStatus['state'] = 'starting'
  #waitingFor: string | undefined
  #waitingSince: Date | undefined
  /** The database has existed, so its absence is worth reporting. */
  #wasThere = false
  #shipped: TXID | undefined
  #lastSyncAt: Date | undefined
  /** A file of the open database was removed. */
  #filesRemoved: Failure | undefined
  #fenced: Failure | undefined
  /** Uploads do not clear it: only a snapshot repairs the chain. */
  #chainBroken: Failure | undefined

  constructor(
    database: string,
    onEvent: (event: EngineEvent) => void,
    failing = new Set<string>(),
    now: () => number = () => Date.now(),
  ) {
    this.#database = database
    this.#onEvent = onEvent
    this.#failing = failing
    this.#now = now
    this.#backoff = new Backoff({ crowd: () => failing.size })
  }

  /** Newest TXID in the store. */
  get shipped(): TXID | undefined {
    return this.#shipped
  }

  /** The whole status, with what the other parts measured. */
  report(measured: Measurements): DatabaseStatus {
    const work = WORKS.find((candidate) => this.#failures.has(candidate))
    const failure =
      this.#fenced ?? this.#filesRemoved ?? (work && this.#failures.get(work)) ?? this.#chainBroken
    const isBehind = this.#state === 'replicating' && measured.pendingFiles > 1
    return {
      ...measured,
      name: this.#database,
      state: isBehind ? 'behind' : this.#state,
      txid: this.#shipped,
      lastSyncAt: this.#lastSyncAt,
      lastError: failure && messageOf(failure.error),
      errorSince: failure && new Date(failure.since),
      waitingSince: this.#state === 'waiting' ? this.#waitingSince : undefined,
    }
  }

  /** The database does not exist (yet). Reported once per reason. */
  waiting(reason: string): void {
    this.#state = 'waiting'
    if (this.#wasThere) this.#waitingSince ??= new Date()
    if (this.#waitingFor === reason) return
    this.#waitingFor = reason
    this.#onEvent({ type: 'waiting', database: this.#database, reason })
  }

  /** The database existed and is gone. */
  lost(reason: string): void {
    this.#wasThere = true
    this.waiting(reason)
  }

  opened(): void {
    this.#waitingFor = undefined
    if (this.#state === 'waiting') this.#state = 'starting'
  }

  replicating(txid: TXID | undefined): void {
    this.#waitingFor = undefined
    this.#waitingSince = undefined
    this.#wasThere = true
    this.#state = 'replicating'
    this.#shipped = txid
  }

  /** Updates the state with an event and passes it on. */
  record(event: EngineEvent): void {
    if (event.type === 'adopted') this.#shipped = event.txid
    if (event.type === 'chain-broken') {
      this.#chainBroken = { error: event.reason, since: this.#now() }
    }
    // A base after other files does not repair what comes before it. A snapshot does.
    const isWhole = event.type === 'snapshot' || (event.type === 'base' && event.txid === 1n)
    if (isWhole) this.#chainBroken = undefined
    this.#note(event)
    this.#onEvent(event)
  }

  /** A failure until a snapshot is stored. */
  chainBroken(): void {
    this.record({ type: 'chain-broken', database: this.#database, reason: CHAIN_BROKEN })
  }

  synced(file: PendingFile, bytes: number): void {
    const now = this.#now()
    const { txid, pages } = file
    this.#shipped = txid
    this.#lastSyncAt = new Date(now)
    const ms = now - file.noticedAt
    this.record({ type: 'synced', database: this.#database, txid, bytes, pages, ms })
  }

  /** A file of the open database was removed (`FileMismatch`), or none is (`undefined`). Reported once per reason. */
  filesRemoved(reason: string | undefined): void {
    const error = reason && `${reason}; restart the application`
    if (this.#filesRemoved?.error === error) return
    this.#filesRemoved = error === undefined ? undefined : { error, since: this.#now() }
    if (reason !== undefined) {
      this.#onEvent({ type: 'files-removed', database: this.#database, reason })
    }
  }

  /** Reported once. */
  fenced(error: FencedError): void {
    if (this.#state === 'fenced') return
    this.#state = 'fenced'
    this.#fenced = { error, since: this.#now() }
    this.#onEvent({ type: 'fenced', database: this.#database, error })
  }

  /** A step of the replication failed. Returns the pause before the next attempt, in milliseconds. */
  failed(error: unknown): number {
    const retryInMs = this.#backoff.next()
    this.record({ database: this.#database, ...failureEvent('replication', error, retryInMs) })
    return retryInMs
  }

  /** A step of the replication succeeded. */
  recovered(): void {
    this.#backoff.reset()
    const failure = this.#failures.get('replication')
    if (failure === undefined) return
    const failed = failureEvent('replication', failure.error, 0).type
    const type = failed === 'store-error' ? 'store-recovered' : 'database-recovered'
    const outageMs = Math.max(0, this.#now() - failure.since)
    this.record({ type, database: this.#database, during: 'replication', outageMs })
  }

  stopped(): void {
    if (this.#state !== 'fenced') this.#state = 'stopped'
    this.#failing.delete(this.#database)
  }

  #note(event: EngineEvent): void {
    const failed = failureIn(event)
    if (failed !== undefined) {
      const now = this.#now()
      const since = Math.min(this.#failures.get(failed.work)?.since ?? now, now)
      this.#failures.set(failed.work, { error: failed.error, since })
    }
    for (const work of successIn(event)) this.#failures.delete(work)
    if (this.#failures.size > 0) this.#failing.add(this.#database)
    else this.#failing.delete(this.#database)
  }
}
