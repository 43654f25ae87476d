import { RetryPause } from '../../async/retry-pause.ts'
import { formatTxid, type LtxHeader, type TXID } from '../../ltx/index.ts'
import type { ReplicaClient } from '../../replica/replica-client.ts'
import type { EpochClaim } from '../../replica/writer-claim/writer-claim.ts'
import { isStoreError, StoreError } from '../../store/index.ts'
import { type EngineEvent, FencedError, failureEvent } from '../events.ts'
import type { PendingFile } from './pending-file.ts'

export interface ShipperHooks {
  /** The file is in the store. */
  readonly onShipped: (
    file: PendingFile,
    bytes: number,
    signal: AbortSignal,
  ) => Promise<void> | void
  /**
   * The slot holds another writer's file. Resolves if this writer can continue after it; throws
   * `FencedError` otherwise.
   */
  readonly onSlotTaken: (file: PendingFile, found: LtxHeader, signal: AbortSignal) => Promise<void>
  readonly onEvent: (event: EngineEvent) => void
  /** In milliseconds since 1970. */
  readonly now: () => number
  /** Something has changed, so the loop should take its next turn. */
  readonly wake: () => void
  /** How many databases are failing at the moment. */
  readonly failing?: (() => number) | undefined
}

/**
 * Stores pending files in order, one at a time. While the store fails it retries indefinitely with
 * exponential backoff: the WAL, and then the spool, is the queue.
 */
export class Shipper {
  readonly #database: string
  readonly #client: ReplicaClient
  readonly #hooks: ShipperHooks
  readonly #claim: EpochClaim | undefined
  readonly #queue: PendingFile[] = []
  #uploading: Promise<void> | undefined
  #abort = new AbortController()
  #startedAt = 0
  readonly #retry: RetryPause
  #fatal: unknown

  /** @param claim without one, whoever writes a slot first keeps it */
  constructor(database: string, client: ReplicaClient, hooks: ShipperHooks, claim?: EpochClaim) {
    this.#database = database
    this.#client = client
    this.#hooks = hooks
    this.#claim = claim
    this.#retry = new RetryPause({ crowd: hooks.failing })
  }

  get pending(): readonly PendingFile[] {
    return this.#queue
  }

  /** Time until the next attempt is allowed, in milliseconds. */
  untilRetry(now: number): number {
    return this.#retry.left(now)
  }

  /** How long the first pending file has been waiting for the store, in milliseconds. */
  stuckFor(now: number): number {
    const { failingSince } = this.#retry
    if (failingSince !== undefined) return now - failingSince
    return this.#uploading === undefined ? 0 : now - this.#startedAt
  }

  add(file: PendingFile): void {
    this.#queue.push(file)
  }

  /**
   * Starts the next upload if none is running and the pause is over. @throws what ended the last
   * upload for good
   */
  startNext(now: number): void {
    if (this.#fatal !== undefined) throw this.#fatal
    const file = this.#queue[0]
    if (file === undefined || this.#uploading !== undefined || this.#retry.left(now) > 0) return
    this.#startedAt = now
    this.#abort = new AbortController()
    this.#uploading = this.#upload(file, this.#abort.signal).finally(() => {
      this.#uploading = undefined
      this.#hooks.wake()
    })
  }

  /** Resolves when no upload is running. @throws what ended it for good */
  async uploadEnded(): Promise<void> {
    await this.#uploading
    if (this.#fatal !== undefined) throw this.#fatal
  }

  /** Ends a running upload; the file stays pending. */
  async interrupt(reason: Error): Promise<void> {
    this.#abort.abort(reason)
    await this.#uploading
  }

  /** Drops all pending files. */
  drop(): void {
    this.#queue.length = 0
    this.#retry.succeeded(this.#hooks.now())
  }

  async #upload(file: PendingFile, signal: AbortSignal): Promise<void> {
    try {
      const options = { createdAt: new Date(file.header.timestamp), signal }
      const put = () => this.#client.put(0, file.txid, file.txid, file.body, options)
      const { size } = await (this.#claim?.guard(put, signal) ?? put())
      await this.#shipped(file, size, signal)
    } catch (error) {
      if (error instanceof FencedError) this.#fatal = error
      else if (signal.aborted) return
      else if (isStoreError(error) && error.code === 'AlreadyExists') {
        await this.#slotTaken(file, signal)
      } else this.#failed(error)
    }
  }

  async #shipped(file: PendingFile, bytes: number, signal: AbortSignal): Promise<void> {
    this.#queue.shift()
    const outageMs = this.#retry.succeeded(this.#hooks.now())
    if (outageMs !== undefined) {
      const [database, during] = [this.#database, 'upload' as const]
      this.#hooks.onEvent({ type: 'store-recovered', database, during, outageMs })
    }
    await this.#hooks.onShipped(file, bytes, signal)
  }

  /** An earlier attempt may have succeeded although its response was lost; the stored object then has exactly our bytes. */
  async #slotTaken(file: PendingFile, signal: AbortSignal): Promise<void> {
    try {
      const found = await this.#client.head(0, file.txid, file.txid, { signal })
      if (found === undefined) return this.#failed(emptySlot(file.txid))
      const header = await this.#client.readHeader(found, { signal })
      const { nodeId, timestamp, walOffset, walSize } = file.header
      const ours =
        header.nodeId === nodeId &&
        header.timestamp === timestamp &&
        header.walOffset === walOffset &&
        header.walSize === walSize
      if (!ours) return await this.#hooks.onSlotTaken(file, header, signal)
      await this.#claim?.assertFresh(signal)
      this.#client.recordStored(found)
      await this.#shipped(file, found.size, signal)
    } catch (error) {
      if (error instanceof FencedError) this.#fatal = error
      else if (signal.aborted) return
      else this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    const retryInMs = this.#retry.failed(this.#hooks.now())
    const event = failureEvent('upload', error, retryInMs)
    this.#hooks.onEvent({ database: this.#database, ...event })
  }
}

function emptySlot(txid: TXID): StoreError {
  const message = `The store says that ${formatTxid(txid)} is taken, and then that it is not there.`
  return new StoreError('Unavailable', message, { op: 'put' })
}
