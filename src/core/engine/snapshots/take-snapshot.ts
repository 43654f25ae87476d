import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Limiter } from '../../async/limiter.ts'
import {
  Checkpointer,
  currentBootId,
  DatabaseError,
  SourceDatabase,
  whileBusy,
} from '../../db/index.ts'
import type { TXID } from '../../ltx/index.ts'
import type { ReplicaLayout } from '../../replica/replica-layout.ts'
import type { ObjectStore } from '../../store/index.ts'
import { DatabaseReplicator } from '../database-replicator.ts'
import { failureIn } from '../events.ts'
import { ReplicaWriter } from '../upload/replica-writer.ts'
import { Spool } from '../upload/spool.ts'
import { SnapshotPolicy, type SnapshotProgress } from './snapshot-policy.ts'

export interface TakeSnapshotOptions {
  readonly signal?: AbortSignal | undefined
  /**
   * How long to wait for a running watcher to ship what the replica lacks, in milliseconds. Default
   * 3000.
   */
  readonly patienceMs?: number | undefined
  /**
   * First store a new base under the next TXID, so that the snapshot's slot is free whatever is
   * stored under the newest TXID. Default false.
   */
  readonly forceBase?: boolean | undefined
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined
}

export interface TakenSnapshot {
  readonly txid: TXID
  /** Pages of the database. */
  readonly pages: number
  /** Size of the object; 0 if nothing was written. */
  readonly bytes: number
  /** The replica already has a snapshot of exactly this state. */
  readonly skipped: boolean
}

/**
 * Stores one full copy of a database in its replica, even while a watcher is running. The snapshot
 * gets the TXID at which the replica has exactly the state that is read. Commits that the replica
 * lacks and that no watcher ships in time are shipped first. If the WAL does not prove that it
 * continues the replica, a new base is stored under the next TXID. It takes no claim: a watcher
 * that finds its files continues after them.
 *
 * The SQLite connections stay open until the process ends: the last one to close would delete the
 * WAL, and with it that proof.
 *
 * @param store rooted at the replica's prefix
 * @throws DatabaseError, StoreError, FencedError
 */
export async function takeSnapshot(
  name: string,
  path: string,
  store: ObjectStore,
  layout: ReplicaLayout,
  options: TakeSnapshotOptions = {},
): Promise<TakenSnapshot> {
  const source = await whileBusy(() => SourceDatabase.open(path), options.signal)
  if (source === undefined) throw emptyDatabase(path)
  const shot = new OneShot(name, source, store, layout)
  return await shot.run(path, options)
}

class OneShot {
  readonly #source: SourceDatabase
  readonly #policy: SnapshotPolicy
  readonly #writer: ReplicaWriter
  readonly #database: DatabaseReplicator
  readonly #checkpointer = new Checkpointer()
  #baseBytes = 0
  /** What made the last upload fail. */
  #failure: unknown

  constructor(name: string, source: SourceDatabase, store: ObjectStore, layout: ReplicaLayout) {
    const nodeId = BigInt(randomInt(1, 2 ** 32))
    const bootId = currentBootId()
    this.#source = source
    this.#policy = new SnapshotPolicy(store, layout, { intervalMs: 0 })
    const ignore = () => undefined
    // The spool belongs to the watcher; with a limit of 0, none is written here.
    const spool = new Spool(`${source.path}-no-spool`, 0)
    this.#writer = new ReplicaWriter(
      name,
      store,
      layout,
      spool,
      { nodeId, bootId },
      {
        onShipped: (file) => file.uncaptured && source.capture.advance(file.uncaptured),
        onSlotTaken: (file, found, signal) => this.#database.adopt(file.txid, found, signal),
        onEvent: (event) => {
          this.#failure = failureIn(event)?.error
        },
        wake: ignore,
        now: () => Date.now(),
      },
    )
    this.#database = new DatabaseReplicator(source, {
      name,
      writer: this.#writer,
      policy: this.#policy,
      checkpointer: this.#checkpointer,
      maxWalBytes: Number.POSITIVE_INFINITY,
      bootId,
      limits: { fullCopy: new Limiter(1) },
      now: () => Date.now(),
      onEvent: (event) => {
        if (event.type === 'base') this.#baseBytes = event.bytes
      },
    })
  }

  async run(path: string, options: TakeSnapshotOptions): Promise<TakenSnapshot> {
    const signal = options.signal ?? new AbortController().signal
    const { forceBase = false, patienceMs = 3000 } = options
    if (forceBase) await this.#database.loseContinuity('a new base was asked for')
    // No watcher ships a base for us, so waiting would only lose the fact that one is needed.
    await this.#catchUp(path, forceBase ? 0 : patienceMs, signal)
    const txid = this.#writer.captured!
    const { commit: pages } = this.#source.capture.position
    if (this.#policy.newest === txid) {
      return { txid, pages, bytes: this.#baseBytes, skipped: this.#baseBytes === 0 }
    }
    const view = await this.#source.capture.view()
    const stamp = this.#writer.stamp()
    const { onProgress } = options
    const { bytes } = await this.#policy.take(this.#source, view, txid, stamp, {
      signal,
      onProgress,
    })
    return { txid, pages, bytes, skipped: false }
  }

  /** Brings the capture and the replica to the same state. */
  async #catchUp(path: string, patienceMs: number, signal: AbortSignal): Promise<void> {
    const deadline = Date.now() + patienceMs
    for (;;) {
      signal.throwIfAborted()
      const patient = Date.now() < deadline
      const outcome = await this.#database.prepare(signal, { patient })
      if (outcome === 'empty') throw emptyDatabase(path)
      if (outcome === 'ready' && (await this.#captured(patient, signal))) return
      if (patient) {
        await delay(100, undefined, { signal })
        this.#database.lookAgain()
      }
    }
  }

  /** Is everything captured? Ships what is not, unless a watcher may still do so. */
  async #captured(patient: boolean, signal: AbortSignal): Promise<boolean> {
    const { capture } = this.#source
    try {
      if ((await capture.scan()) === undefined && capture.isFullyCaptured) return true
      if (!patient && (await this.#database.capture(Date.now()))) await this.#ship(signal)
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.code !== 'ContinuityLost') throw error
      await this.#database.loseContinuity(error.message)
    }
    return false
  }

  async #ship(signal: AbortSignal): Promise<void> {
    const { shipper } = this.#writer
    while (shipper.pending.length > 0) {
      signal.throwIfAborted()
      shipper.startNext(Date.now())
      await shipper.uploadEnded()
      if (this.#failure !== undefined) throw this.#failure
    }
  }
}

function emptyDatabase(path: string): DatabaseError {
  return new DatabaseError(
    'Unsupported',
    path,
    `${path} is an empty database, so there is nothing to copy.`,
    { hint: 'Check the path. If it is right, create a table first.' },
  )
}
