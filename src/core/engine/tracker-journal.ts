import type { TXID } from '../ltx/index.ts'
import type { EngineEvent, FencedError } from './events.ts'
import type { PendingFile } from './shipper.ts'
import type { DatabaseStatus } from './tracker-options.ts'

/** What one tracker has to say: its state for `status`, and events as they happen. */
export class TrackerJournal {
  readonly #database: string
  readonly #onEvent: (event: EngineEvent) => void
  #state: DatabaseStatus['state'] = 'starting'
  #waitingFor: string | undefined
  #shipped: TXID | undefined
  #lastSyncAt: Date | undefined
  #lastError: string | undefined

  constructor(database: string, onEvent: (event: EngineEvent) => void) {
    this.#database = database
    this.#onEvent = onEvent
  }

  /** Newest TXID in the store. */
  get shipped(): TXID | undefined {
    return this.#shipped
  }

  get summary(): Pick<DatabaseStatus, 'state' | 'txid' | 'lastSyncAt' | 'lastError'> {
    return {
      state: this.#state,
      txid: this.#shipped,
      lastSyncAt: this.#lastSyncAt,
      lastError: this.#lastError,
    }
  }

  /** The database is not there (yet). Told once for each reason. */
  waiting(reason: string): void {
    this.#state = 'waiting'
    if (this.#waitingFor === reason) return
    this.#waitingFor = reason
    this.#onEvent({ type: 'waiting', database: this.#database, reason })
  }

  opened(): void {
    this.#waitingFor = undefined
  }

  replicating(txid: TXID | undefined): void {
    this.#waitingFor = undefined
    this.#state = 'replicating'
    this.#shipped = txid
  }

  /** Passes on what the database's own steps tell. */
  tell(event: EngineEvent): void {
    if (event.type === 'adopted') this.#shipped = event.txid
    if (event.type === 'spool-failed') this.#lastError = messageOf(event.error)
    this.#onEvent(event)
  }

  synced(file: PendingFile, bytes: number): void {
    const now = Date.now()
    const { txid, pages } = file
    this.#shipped = txid
    this.#lastSyncAt = new Date(now)
    this.#lastError = undefined
    const ms = now - file.noticedAt
    this.#onEvent({ type: 'synced', database: this.#database, txid, bytes, pages, ms })
  }

  /** Told once. */
  fenced(error: FencedError): void {
    if (this.#state === 'fenced') return
    this.#state = 'fenced'
    this.#lastError = error.message
    this.#onEvent({ type: 'fenced', database: this.#database, error })
  }

  failed(error: unknown, retryInMs: number): void {
    this.#lastError = messageOf(error)
    const isFromStore = (error as { name?: string } | undefined)?.name === 'StoreError'
    const type = isFromStore ? 'store-error' : 'database-error'
    this.#onEvent({ type, database: this.#database, error, retryInMs })
  }

  stopped(): void {
    if (this.#state !== 'fenced') this.#state = 'stopped'
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
