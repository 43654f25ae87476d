import type { Checkpointer, SourceDatabase } from '../db/index.ts'
import { formatTxid, type LtxHeader, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaHead } from '../replica/replica-head.ts'
import { epochOf, firstFile } from '../replica/writer-claim/claim-rules.ts'
import { isStoreError, StoreError } from '../store/index.ts'
import { CheckpointPolicy } from './capture/checkpoint-policy.ts'
import { checkMainFile, proveByChecksum } from './capture/checksum-proof.ts'
import { readSums } from './capture/database-sums.ts'
import { anchorOf } from './capture/ltx-file.ts'
import { WalRelief } from './capture/wal-relief.ts'
import { type Emit, type EngineEvent, FencedError } from './events.ts'
import { type PageSums, pageSums } from './idle/page-sums.ts'
import { endsAsRested, goOnAfterRest, MAX_RESTING_BYTES } from './idle/reopen-idle.ts'
import type { SnapshotPolicy } from './snapshots/snapshot-policy.ts'
import { SnapshotRun } from './snapshots/snapshot-run.ts'
import type { ReplicaWriter } from './upload/replica-writer.ts'

/** Databases up to this size are read whole after a start, to know their checksum: half a second at most. */
const MAX_LEARNED_BYTES = 256 << 20
/** Bases that may meet a taken slot, one after the other, before a pause. */
const MAX_COLLISIONS = 3

export interface ReplicatorParts {
  readonly name: string
  readonly writer: ReplicaWriter
  readonly policy: SnapshotPolicy
  readonly checkpointer: Checkpointer
  readonly maxWalBytes: number
  readonly bootId: number
  readonly heavy: <T>(work: () => Promise<T>) => Promise<T>
  readonly onEvent: (event: EngineEvent) => void
  /** Told of every listing of the replica. */
  readonly onListed?: ((files: readonly LtxFileInfo[]) => void) | undefined
}

/** What is known of a database before it is opened. */
export interface WhatIsKnown {
  /** What it was when it was let go; the replica ends with that. */
  readonly rested?: PageSums | undefined
  /** The main file was written to or replaced since. */
  readonly isMainFileChanged?: boolean | undefined
  /** Why only a new base will do. */
  readonly baseReason?: string | undefined
}

/** One opened database on its way into its replica: the steps, of which `WalTracker` says when. */
export class DatabaseReplicator {
  readonly source: SourceDatabase
  readonly checkpoints: CheckpointPolicy
  readonly snapshots: SnapshotRun
  readonly #parts: ReplicatorParts
  readonly #emit: Emit
  readonly #relief: WalRelief
  #located = false
  /** Why a new base is needed; `undefined` if none is. */
  #baseReason: string | undefined
  #collisions = 0
  /** What the database was when it was let go. */
  readonly #rested: PageSums | undefined
  readonly #isMainFileChanged: boolean
  /** The replica ends with that, and nothing has been captured since. */
  #mustWake: boolean

  constructor(
    source: SourceDatabase,
    parts: ReplicatorParts,
    { rested, baseReason, isMainFileChanged = false }: WhatIsKnown = {},
  ) {
    this.source = source
    this.#parts = parts
    this.#baseReason = baseReason
    this.#isMainFileChanged = isMainFileChanged
    this.#rested = rested
    this.#mustWake = rested !== undefined
    this.#located = this.#mustWake
    this.checkpoints = new CheckpointPolicy(source, parts.checkpointer, parts.maxWalBytes)
    this.#emit = (event) => parts.onEvent({ database: parts.name, ...event } as EngineEvent)
    this.snapshots = new SnapshotRun(source, parts, this.#emit)
    this.#relief = new WalRelief(
      source,
      this.checkpoints,
      parts.writer,
      parts.maxWalBytes,
      this.#emit,
    )
  }

  /** Must `prepare` run before changes can be captured? */
  get needsPreparing(): boolean {
    const { writer } = this.#parts
    const placed = this.#located && this.#baseReason === undefined && !this.#mustWake
    return !placed || writer.mustFence
  }

  /** Continuity is lost: the next `prepare` takes a base. Pending files that need the WAL are given up. */
  async loseContinuity(reason: string): Promise<void> {
    const { shipper } = this.#parts.writer
    this.#baseReason = reason
    if (shipper.pending.some((file) => file.uncaptured !== undefined)) {
      await shipper.interrupt(new Error('continuity is lost'))
      shipper.drop()
      this.#located = false
    }
    this.#emit({ type: 'continuity-lost', reason })
  }

  /**
   * Finds the replica's end and goes on from there, or takes a new base; takes the next slot at once
   * where an older writer may want it. `empty`: the database has no page yet, so that there is
   * nothing to take. `again`: the replica has moved on meanwhile, or something must be shipped first.
   *
   * @param options `patient`: takes no base onto a replica that has files, but answers `again`
   * @throws StoreError, FencedError
   */
  async prepare(
    signal: AbortSignal,
    options: { readonly patient?: boolean } = {},
  ): Promise<'ready' | 'empty' | 'again'> {
    if (this.#rested !== undefined && this.#mustWake) await this.#wake(this.#rested, signal)
    if (!this.#located) await this.#locate(signal)
    await this.#learnSums(signal)
    const { writer } = this.#parts
    const first = firstFile(this.#baseReason === undefined, writer.mustFence)
    if (first === 'none') return 'ready'
    if (first === 'fence') return await this.#fence()
    if (options.patient === true && writer.captured !== undefined) return 'again'
    // Files of a spool come before it: their slots would stay empty for ever.
    if (writer.shipper.pending.length > 0) return 'again'
    await this.snapshots.settled()
    return await this.#takeBase(signal)
  }

  /** Forgets where the replica ends: another process may have written to it. Nothing may be pending. */
  lookAgain(): void {
    this.#located = false
    this.#baseReason = undefined
  }

  /** Queues what has been committed since. False if there is nothing. */
  async capture(noticedAt: number): Promise<boolean> {
    if (this.snapshots.fenced !== undefined) throw this.snapshots.fenced
    const change = await this.source.capture.scan()
    if (change === undefined) return false
    this.#parts.writer.queue(this.source, change, noticedAt)
    return true
  }

  /** Lets other connections' checkpoints pass, while nothing is left to capture. */
  settle(): void {
    if (this.snapshots.isRunning) return
    this.source.capture.regrip()
    this.source.capture.settle()
  }

  /** Checkpoints if that is due and nothing forbids it. Everything captured must have been shipped. */
  async checkpoint(now: number, signal: AbortSignal): Promise<void> {
    // After a start with commits that were still to be shipped, their end is the first state that can be read.
    await this.#learnSums(signal)
    if (!this.snapshots.isRunning) await this.#relief.checkpoint(now)
  }

  /** The store does not keep up: moves what waits, and the WAL behind it, to the spool, so that the WAL can restart. */
  async relieve(now: number): Promise<void> {
    await this.#relief.relieve(now, !this.snapshots.isRunning)
  }

  /** Starts a snapshot if the policy asks for one; it goes on beside later captures. Everything captured must have been shipped. */
  startSnapshot(now: number, signal: AbortSignal, onEnd: () => void): void {
    this.snapshots.start(now, signal, onEnd)
  }

  /**
   * Another process wrote the next file. If it is of this database's own history, goes on behind it;
   * if not, and its writer is older than this one, a new base follows.
   *
   * @throws FencedError
   */
  async adopt(txid: TXID, found: LtxHeader, signal: AbortSignal): Promise<void> {
    const { writer, name } = this.#parts
    const key = `TXID ${formatTxid(txid)}`
    const decision = writer.taken(found)
    if (decision === 'fenced' && writer.claim !== undefined) {
      throw await writer.claim.fenced(epochOf(found.nodeId), signal)
    }
    const head = await writer.locate(signal)
    const anchor = head.header && anchorOf(head.header)
    const result = anchor && this.source.capture.adopt(anchor, head.header!.commit)
    if (result?.proven === true || (await this.#endsAsRested(head, signal))) {
      this.#mustWake = result?.proven !== true
      // First, because whoever waits for the adopted TXID is answered at that event.
      await writer.forgetPending()
      this.#emit({ type: 'adopted', txid: head.txid! })
      return
    }
    const reason = result === undefined ? 'it was not written from a WAL' : result.reason
    const words = `${key} is not of this database's history (${reason})`
    if (decision !== 'prove-or-base') {
      const message = `Another writer has taken over the replica of ${name}: ${words}.`
      throw new FencedError('TakenOver', name, key, message)
    }
    this.#baseReason = `an older writer was at work, and ${words}`
    await writer.forgetPending()
  }

  /**
   * What the database is now, so that it can be let go. `undefined` while it cannot: it is large, is
   * being copied, or has something that is not in the replica.
   */
  async remember(): Promise<PageSums | undefined> {
    const { capture, file } = this.source
    if (this.needsPreparing || this.snapshots.isRunning || !capture.coversMark) return undefined
    if (this.#parts.writer.shipper.pending.length > 0) return undefined
    if (file.size() > MAX_RESTING_BYTES) return undefined
    if ((await capture.scan()) !== undefined || capture.hasUnpublished) return undefined
    if (this.source.mismatch() !== undefined) return undefined
    const { captured } = this.#parts.writer
    return captured && pageSums(this.source, await capture.view(), captured)
  }

  /** Ends the connections. The spool and the replica stay. False while they cannot be closed safely (`SourceDatabase.close`). */
  async close(keepLog?: boolean): Promise<boolean> {
    await this.#parts.checkpointer.forget(this.source.path)
    return await this.source.close(keepLog)
  }

  async #wake(rested: PageSums, signal: AbortSignal): Promise<void> {
    const { writer, bootId } = this.#parts
    const result = await goOnAfterRest(
      this.source,
      writer,
      rested,
      bootId,
      this.#isMainFileChanged,
      signal,
    )
    this.#baseReason = result.baseReason
    this.#mustWake = false
    this.#emit({ type: 'woken', proven: result.proven, pages: result.pages })
  }

  /** Has another process put a copy of this database behind what was remembered, and nothing else? */
  async #endsAsRested(head: ReplicaHead, signal: AbortSignal): Promise<boolean> {
    const rested = this.#rested
    if (rested === undefined || head.txid !== rested.txid + 1n) return false
    return await endsAsRested(this.#parts.writer.client, head, rested, signal)
  }

  async #locate(signal: AbortSignal): Promise<void> {
    const head = await this.#parts.writer.locate(signal)
    this.#parts.onListed?.(head.files)
    await this.snapshots.observe(head, signal)
    if (head.txid === undefined) this.#baseReason = 'the replica is empty'
    else if (this.#baseReason === undefined) {
      this.#baseReason = await this.#goOn(head, head.txid, signal)
    }
    // Not before: where the store fails half way, nothing is proven, and nothing is to be captured.
    this.#located = true
  }

  /** Goes on where the replica ends, if that can be proven. Returns why it cannot. */
  async #goOn(head: ReplicaHead, txid: TXID, signal: AbortSignal): Promise<string | undefined> {
    const { writer, bootId, heavy } = this.#parts
    const { client } = writer
    const anchor = head.header && anchorOf(head.header)
    const result =
      anchor === undefined
        ? { proven: false as const, reason: 'the replica does not say where in the WAL it ends' }
        : this.source.capture.resume(anchor, head.header!.commit, bootId)
    if (result.proven) {
      if (this.#canLearnSums) {
        const found = await heavy(() => checkMainFile(client, head, this.source, signal))
        if (found.belongs === false) return 'the main file is not the one that its WAL belongs to'
        writer.learnSums(found.sums)
      }
      this.#emit({ type: 'resumed', txid, proof: 'wal' })
      return undefined
    }
    const sums = await heavy(() => proveByChecksum(client, head, this.source, signal))
    if (sums === undefined) return result.reason
    writer.learnSums(sums)
    this.#emit({ type: 'resumed', txid, proof: 'checksum' })
    return undefined
  }

  /** Is the database at the capture's position as it can be read now, small enough, and the newest state of the writer? */
  get #canLearnSums(): boolean {
    const { shipper } = this.#parts.writer
    const { capture, file } = this.source
    if (this.snapshots.isRunning || shipper.pending.length > 0) return false
    return capture.coversMark && file.size() <= MAX_LEARNED_BYTES
  }

  /** One look at all pages where their checksums are not known, so that the next file carries them. */
  async #learnSums(signal: AbortSignal): Promise<void> {
    const { writer, heavy } = this.#parts
    const { capture } = this.source
    if (this.#baseReason !== undefined || writer.hasSums || !this.#canLearnSums) return
    writer.learnSums(await heavy(async () => readSums(this.source, await capture.view(), signal)))
  }

  async #takeBase(signal: AbortSignal): Promise<'ready' | 'empty' | 'again'> {
    const { writer, policy, heavy } = this.#parts
    const reason = this.#baseReason ?? 'the replica is empty'
    const startedAt = Date.now()
    const view = await this.source.capture.anchor(signal)
    if (view.commit === 0) return 'empty'
    const first = writer.captured === undefined
    try {
      const base = await heavy(() => writer.putBase(this.source, view, signal))
      if (first) policy.taken(base.txid, startedAt)
      this.#baseReason = undefined
      this.#collisions = 0
      this.#emit({ type: 'base', reason, ms: Date.now() - startedAt, ...base })
      return 'ready'
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
      // Either an earlier try landed without an answer, or another writer is at work: look again.
      this.#collisions += 1
      this.#located = false
      this.#baseReason = undefined
      if (this.#collisions <= MAX_COLLISIONS) return 'again'
      this.#collisions = 0
      throw contentionError(this.#parts.name, writer.claim !== undefined, error)
    }
  }

  /** An older writer may be alive: what was committed since goes into the slot that it would take next, or else a file that changes nothing. */
  async #fence(): Promise<'ready' | 'again'> {
    if (await this.capture(Date.now())) return 'ready'
    if (!this.source.capture.coversMark) return 'again'
    await this.#parts.writer.queueFenceFile(this.source)
    return 'ready'
  }
}

/**
 * The error of a base that has met other writers' files too often. A writer with a claim may try
 * again: those that are older find out within a minute that they are, and a newer one would have
 * fenced it.
 */
function contentionError(database: string, isClaimed: boolean, cause: StoreError): Error {
  const message = `Another writer keeps writing to the replica of ${database}.`
  const { key = '' } = cause
  if (!isClaimed) return new FencedError('TakenOver', database, key, message, { cause })
  return new StoreError('AlreadyExists', message, { op: 'put', key, retryable: true, cause })
}
