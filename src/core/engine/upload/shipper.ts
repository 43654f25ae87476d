import { createReadStream } from 'node:fs'
import { Backoff } from '../../async/backoff.ts'
import { Deadline } from '../../async/deadline.ts'
import type { WalChange } from '../../db/index.ts'
import { formatTxid, type LtxHeader, type TXID } from '../../ltx/index.ts'
import type { ReplicaClient } from '../../replica/replica-client.ts'
import type { EpochClaim } from '../../replica/writer-claim/writer-claim.ts'
import { isStoreError, type PutBody, StoreError } from '../../store/index.ts'
import { fileBytes, type LtxFile } from '../capture/ltx-file.ts'
import { type EngineEvent, FencedError } from '../events.ts'
import { failureEvent } from '../work.ts'
import type { SpooledFile } from './spool.ts'

/** A level-0 file that has a TXID and is not in the store yet. */
export interface PendingFile {
  readonly txid: TXID
  readonly header: LtxHeader
  readonly pages: number
  /** When the change was noticed, in milliseconds. */
  readonly noticedAt: number
  body: PutBody
  /** Set while the bytes are read from the WAL: its frames must stay until then. */
  uncaptured?: WalChange | undefined
  spooled?: SpooledFile | undefined
}

export interface ShipperHooks {
  /** The file is in the store. */
  readonly onShipped: (
    file: PendingFile,
    bytes: number,
    signal: AbortSignal,
  ) => Promise<void> | void
  /** The slot holds another writer's file. Resolves if this writer can go on behind it; else throws `FencedError`. */
  readonly onTaken: (file: PendingFile, found: LtxHeader, signal: AbortSignal) => Promise<void>
  readonly onEvent: (event: EngineEvent) => void
  /** Something has changed; look again. */
  readonly wake: () => void
  /** How many databases fail at the same time. */
  readonly failing?: (() => number) | undefined
}

/**
 * Puts pending files into the store, in order, one at a time. While the store fails it tries again
 * without end, with growing, jittered pauses: the queue is the WAL, and then the spool.
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
  readonly #backoff: Backoff
  #failingSince: number | undefined
  readonly #pause = new Deadline()
  #fatal: unknown

  /** @param claim without one, whoever has the slot first has it */
  constructor(database: string, client: ReplicaClient, hooks: ShipperHooks, claim?: EpochClaim) {
    this.#database = database
    this.#client = client
    this.#hooks = hooks
    this.#claim = claim
    this.#backoff = new Backoff({ crowd: hooks.failing })
  }

  get pending(): readonly PendingFile[] {
    return this.#queue
  }

  /** How long no next try is allowed, in milliseconds. */
  untilRetry(now: number): number {
    return this.#pause.left(now)
  }

  /** For how long the store has not taken the first pending file, in milliseconds. */
  stuckFor(now: number): number {
    if (this.#failingSince !== undefined) return now - this.#failingSince
    return this.#uploading === undefined ? 0 : now - this.#startedAt
  }

  add(file: PendingFile): void {
    this.#queue.push(file)
  }

  /** Starts the next upload if none runs and no pause is due. @throws what ended the last one for good */
  pump(now: number): void {
    if (this.#fatal !== undefined) throw this.#fatal
    const file = this.#queue[0]
    if (file === undefined || this.#uploading !== undefined || this.#pause.left(now) > 0) return
    this.#startedAt = now
    this.#abort = new AbortController()
    this.#uploading = this.#upload(file, this.#abort.signal).finally(() => {
      this.#uploading = undefined
      this.#hooks.wake()
    })
  }

  /** Resolves when no upload runs. @throws what ended it for good */
  async settled(): Promise<void> {
    await this.#uploading
    if (this.#fatal !== undefined) throw this.#fatal
  }

  /** Ends a running upload; the file stays pending. */
  async interrupt(reason: Error): Promise<void> {
    this.#abort.abort(reason)
    await this.#uploading
  }

  /** Forgets all pending files. */
  drop(): void {
    this.#queue.length = 0
    this.#goesOn()
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
        await this.#taken(file, signal)
      } else this.#failed(error)
    }
  }

  async #shipped(file: PendingFile, bytes: number, signal: AbortSignal): Promise<void> {
    this.#queue.shift()
    if (this.#failingSince !== undefined) {
      const outageMs = Math.max(0, Date.now() - this.#failingSince)
      const [database, during] = [this.#database, 'upload' as const]
      this.#hooks.onEvent({ type: 'store-recovered', database, during, outageMs })
    }
    this.#goesOn()
    await this.#hooks.onShipped(file, bytes, signal)
  }

  /** An earlier try may have landed although its answer was lost; then the object is ours to the byte. */
  async #taken(file: PendingFile, signal: AbortSignal): Promise<void> {
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
      if (!ours) return await this.#hooks.onTaken(file, header, signal)
      await this.#claim?.assertFresh(signal)
      this.#client.recordStored(found)
      await this.#shipped(file, found.size, signal)
    } catch (error) {
      if (error instanceof FencedError) this.#fatal = error
      else if (signal.aborted) return
      else this.#failed(error)
    }
  }

  /** Whatever failed does not any more. */
  #goesOn(): void {
    this.#backoff.reset()
    this.#failingSince = undefined
    this.#pause.clear()
  }

  #failed(error: unknown): void {
    const now = Date.now()
    this.#failingSince = Math.min(this.#failingSince ?? now, now)
    const retryInMs = this.#backoff.next()
    this.#pause.set(now, retryInMs)
    const event = failureEvent('upload', error, retryInMs)
    this.#hooks.onEvent({ database: this.#database, ...event })
  }
}

function emptySlot(txid: TXID): StoreError {
  const message = `The store says that ${formatTxid(txid)} is taken, and then that it is not there.`
  return new StoreError('Unavailable', message, { op: 'put' })
}

/** The bytes of a pending file that is not in the spool. */
export function chunksOf({ body }: PendingFile): Iterable<Uint8Array> {
  return body instanceof Uint8Array ? [body] : (body.open() as Iterable<Uint8Array>)
}

/** A pending file whose bytes are in the spool. */
export function setSpooled(file: PendingFile, spooled: SpooledFile): void {
  file.spooled = spooled
  file.uncaptured = undefined
  file.body = { size: spooled.bytes, open: () => createReadStream(spooled.path) }
}

/** Files up to this many bytes of pages are encoded into memory at once; larger ones are read from the WAL as they are sent. */
const MEMORY_BYTES = 16 << 20

/** Makes a pending file of a change; says by `uncaptured` whether the WAL must stay until it is shipped. */
export function pendingOf(file: LtxFile, change: WalChange, noticedAt: number): PendingFile {
  const { header, pages } = file
  const base = { txid: header.maxTxid, header, pages, noticedAt }
  if (pages * header.pageSize > MEMORY_BYTES) return { ...base, body: file, uncaptured: change }
  return { ...base, body: fileBytes(file) }
}
