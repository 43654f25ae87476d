import { Backoff } from '../async/backoff.ts'
import type { TXID } from '../ltx/index.ts'
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
  /** False while it rests or is not there: nothing of it is held open. */
  readonly isOpen: boolean
  /** Newest TXID in the store. */
  readonly txid: bigint | undefined
  readonly lastSyncAt: Date | undefined
  /** Files that have a TXID and are not in the store. */
  readonly pendingFiles: number
  readonly walBytes: number
  readonly spoolBytes: number
  /** The worst failure that is not over, of uploads, snapshots, upkeep or the database itself. */
  readonly lastError: string | undefined
  /** Since when that has failed. */
  readonly errorSince: Date | undefined
  /** Since when a database that was replicated has been missing or empty. */
  readonly waitingSince: Date | undefined
  /** For how long the oldest change that is known and not in the store has waited, in milliseconds; 0 for none. */
  readonly lagMs: number
  /** Of the replica, as this process knows it. */
  readonly replicaFiles: number
  readonly replicaBytes: number
  /** First and last state that can be restored; `undefined` before the replica is known, or if there is none. */
  readonly restorable: { readonly from: RestorablePoint; readonly to: RestorablePoint } | undefined
}

export interface RestorablePoint {
  readonly txid: TXID
  readonly time: Date
}

/** What the other parts of a tracker know at one moment. */
export type Measurements = Omit<
  DatabaseStatus,
  'name' | 'txid' | 'lastSyncAt' | 'lastError' | 'errorSince' | 'waitingSince' | 'state'
>

interface Failure {
  readonly error: unknown
  /** Of the first try that failed, in milliseconds. */
  readonly since: number
}

/**
 * What one tracker has to say: its state for `status`, and events as they happen. The one owner of
 * that state: what fails and what goes on again is told through it, and counts as it is told.
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
  /** The database was there, so that it is missing when it is not. */
  #wasThere = false
  #shipped: TXID | undefined
  #lastSyncAt: Date | undefined
  /** A file of the open database has lost its name. */
  #filesRemoved: Failure | undefined
  #fenced: Failure | undefined
  /** Outlives uploads: they do not mend the chain. */
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

  /** The database is not there (yet). Told once for each reason. */
  waiting(reason: string): void {
    this.#state = 'waiting'
    if (this.#wasThere) this.#waitingSince ??= new Date()
    if (this.#waitingFor === reason) return
    this.#waitingFor = reason
    this.#onEvent({ type: 'waiting', database: this.#database, reason })
  }

  /** The database that was there is not any more. */
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

  /** Passes on what is done for the database tells. */
  record(event: EngineEvent): void {
    if (event.type === 'adopted') this.#shipped = event.txid
    if (event.type === 'chain-broken') {
      this.#chainBroken = { error: event.reason, since: this.#now() }
    }
    // A base behind other files does not mend what is before it: its snapshot does.
    const isWhole = event.type === 'snapshot' || (event.type === 'base' && event.txid === 1n)
    if (isWhole) this.#chainBroken = undefined
    this.#note(event)
    this.#onEvent(event)
  }

  /** Trouble until a snapshot is stored. */
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

  /** A file of the open database has lost its name (`FileMismatch`); `undefined`: none has. Told once for each reason. */
  filesRemoved(reason: string | undefined): void {
    if (this.#filesRemoved?.error === reason) return
    this.#filesRemoved = reason === undefined ? undefined : { error: reason, since: this.#now() }
    if (reason !== undefined) {
      this.#onEvent({ type: 'files-removed', database: this.#database, reason })
    }
  }

  /** Told once. */
  fenced(error: FencedError): void {
    if (this.#state === 'fenced') return
    this.#state = 'fenced'
    this.#fenced = { error, since: this.#now() }
    this.#onEvent({ type: 'fenced', database: this.#database, error })
  }

  /** The database's own steps failed. Returns the pause until they are tried again, in milliseconds. */
  failed(error: unknown): number {
    const retryInMs = this.#backoff.next()
    this.record({ database: this.#database, ...failureEvent('replication', error, retryInMs) })
    return retryInMs
  }

  /** They go on. */
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
