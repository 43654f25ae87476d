import { abortable } from '../async/signals.ts'
import type { Checkpointer, SourceDatabase } from '../db/index.ts'
import { formatTxid, type LtxHeader, type TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { ReplicaHead } from '../replica/replica-head.ts'
import { epochOf, firstFile } from '../replica/writer-claim/claim-rules.ts'
import { isStoreError, StoreError } from '../store/index.ts'
import { CheckpointPolicy } from './capture/checkpoint-policy.ts'
import { checkMainFile, proveByChecksum } from './capture/checksum-proof.ts'
import { readSums } from './capture/database-sums.ts'
import { endOfHeader, endsInCaptured } from './capture/ltx-file.ts'
import { QuietLog } from './capture/quiet-log.ts'
import { WalRelief } from './capture/wal-relief.ts'
import { type Emit, type EngineEvent, FencedError } from './events.ts'
import { type PageChecksums, readPageChecksums } from './idle/page-checksums.ts'
import { endsAsRemembered, MAX_IDLE_BYTES, reopenIdle } from './idle/reopen-idle.ts'
import type { EngineLimits } from './options.ts'
import { FOLLOWING, firstPhase, type Known, type Phase, unlocated } from './replication-phase.ts'
import type { SnapshotPolicy } from './snapshots/snapshot-policy.ts'
import { SnapshotRun } from './snapshots/snapshot-run.ts'
import type { ReplicaWriter } from './upload/replica-writer.ts'

/** Databases up to this size are read completely after a start, for their checksum: half a second at most. */
const MAX_LEARNED_BYTES = 256 << 20
const NO_REPLICA = 'the replica is empty'
/** How many bases in a row may find their slot taken before a pause. */
const MAX_COLLISIONS = 3

export interface ReplicatorParts {
  readonly name: string
  readonly writer: ReplicaWriter
  readonly policy: SnapshotPolicy
  readonly checkpointer: Checkpointer
  readonly maxWalBytes: number
  readonly bootId: number
  readonly limits: Pick<EngineLimits, 'fullCopy'>
  readonly onEvent: (event: EngineEvent) => void
  /** In milliseconds since 1970. */
  readonly now: () => number
  /** Called before each listing of the replica, and what it returns with the files. */
  readonly beginListing?: (() => (files: readonly LtxFileInfo[]) => void) | undefined
}

/** The steps that replicate one opened database. `ReplicationLoop` decides when to take them. */
export class DatabaseReplicator {
  readonly source: SourceDatabase
  readonly checkpoints: CheckpointPolicy
  readonly quietLog: QuietLog
  readonly snapshots: SnapshotRun
  readonly #parts: ReplicatorParts
  readonly #emit: Emit
  readonly #relief: WalRelief
  readonly #known: Known
  #phase: Phase
  /** Number of bases in a row that found their slot taken. */
  #collisions = 0
  /** Both move the capture and the pending files, so only one runs at a time. */
  #isAdopting = false
  #relieving: Promise<void> | undefined

  constructor(source: SourceDatabase, parts: ReplicatorParts, known: Known = { kind: 'nothing' }) {
    this.source = source
    this.#parts = parts
    this.#known = known
    this.#phase = firstPhase(known)
    this.checkpoints = new CheckpointPolicy(source, parts.checkpointer, parts.maxWalBytes)
    this.quietLog = new QuietLog(source, this.checkpoints)
    this.#emit = (event) => parts.onEvent({ database: parts.name, ...event } as EngineEvent)
    this.snapshots = new SnapshotRun(source, parts, this.#emit)
    this.#relief = new WalRelief(
      source,
      this.checkpoints,
      parts.writer,
      parts.maxWalBytes,
      this.#emit,
      parts.now,
    )
  }

  /** Must `prepare` run before changes can be captured? */
  get needsPreparing(): boolean {
    return this.#phase.kind !== 'following' || this.#parts.writer.mustFence
  }

  /** Continuity is lost: the next `prepare` takes a base. Pending files that need the WAL are dropped. */
  async loseContinuity(reason: string): Promise<void> {
    const { shipper } = this.#parts.writer
    const isLocated = this.#phase.kind !== 'unlocated'
    this.#phase = isLocated ? { kind: 'needsBase', reason } : unlocated(reason)
    if (shipper.pending.some((file) => file.uncaptured !== undefined)) {
      await shipper.interrupt(new Error('continuity is lost'))
      shipper.drop()
      this.#phase = unlocated(reason)
    }
    this.#emit({ type: 'continuity-lost', reason })
  }

  /**
   * Finds the replica's end and continues from there, or takes a new base. If an older writer may
   * still be running, claims the next slot immediately, so that its next write fails. `empty`: the
   * database has no page yet, so there is nothing to store. `again`: the replica has changed in the
   * meantime, or something must be shipped first.
   *
   * @param options `patient`: if the replica has files, returns `again` instead of taking a base
   * @throws StoreError, FencedError
   */
  async prepare(
    signal: AbortSignal,
    options: { readonly patient?: boolean } = {},
  ): Promise<'ready' | 'empty' | 'again'> {
    const { writer } = this.#parts
    if (this.#phase.kind === 'reopened') this.#phase = await this.#compare(this.#phase.sums, signal)
    if (this.#phase.kind === 'unlocated') {
      // Assigned last: if the store fails halfway, nothing is proven and nothing may be captured.
      this.#phase = await this.#locate(this.#phase.baseReason, signal)
    }
    const phase = this.#phase
    await this.#learnSums(signal)
    const first = firstFile(phase.kind === 'following', writer.mustFence)
    if (first === 'none') return 'ready'
    if (first === 'fence') return await this.#fence()
    if (options.patient === true && writer.captured !== undefined) return 'again'
    // Files of a spool go first: otherwise their slots would stay empty forever.
    if (writer.shipper.pending.length > 0) return 'again'
    await this.snapshots.ended()
    return await this.#takeBase(phase.kind === 'needsBase' ? phase.reason : NO_REPLICA, signal)
  }

  /** Forgets where the replica ends: another process may have written to it. Nothing may be pending. */
  lookAgain(): void {
    this.#phase = unlocated()
  }

  /** Queues what has been committed since the last capture. False if there is nothing. */
  async capture(noticedAt: number): Promise<boolean> {
    if (this.snapshots.fenced !== undefined) throw this.snapshots.fenced
    const change = await this.source.capture.scan()
    if (change === undefined) return false
    this.#parts.writer.queue(this.source, change, noticedAt)
    return true
  }

  /**
   * Lets other connections' checkpoints complete while there is nothing left to capture.
   *
   * @throws DatabaseError `Replaced`: with a mark, a checkpoint could hide that something else wrote
   *   to the main file
   */
  releaseIdleMark(now: number): void {
    if (this.snapshots.isRunning) return
    const { capture } = this.source
    capture.retakeMarkAfterRestart(() => this.source.assertCurrent())
    // A checkpoint that has much to copy moves the mark itself.
    const isLeft = this.checkpoints.due(now, capture.walBytes()) && this.checkpoints.wantsLargeCopy
    if (!isLeft) capture.releaseIdleMark()
  }

  /**
   * Runs a checkpoint if one is due and nothing prevents it. Everything captured must have been
   * shipped.
   */
  async checkpoint(now: number, signal: AbortSignal): Promise<void> {
    // If a start found commits that had not been shipped, their end is the first state that can be
    // read.
    await this.#learnSums(signal)
    if (!this.snapshots.isRunning) await this.#relief.checkpoint(now)
  }

  /**
   * The store does not keep up: moves pending files and the rest of the WAL to the spool, so that
   * the WAL can restart.
   */
  async relieve(now: number): Promise<void> {
    if (this.#isAdopting) return
    this.#relieving = this.#relief.relieve(now, !this.snapshots.isRunning)
    await this.#relieving
  }

  /**
   * Starts a snapshot if one is due; captures continue meanwhile. Everything captured must be
   * shipped.
   */
  startSnapshot(now: number, signal: AbortSignal, onEnd: () => void): void {
    this.snapshots.start(now, signal, onEnd)
  }

  /**
   * Another process wrote the next file. If that file is part of this database's own history,
   * continues after it. If not, and if its writer is older than this one, a new base follows.
   *
   * @throws FencedError
   */
  async adopt(txid: TXID, found: LtxHeader, signal: AbortSignal): Promise<void> {
    this.#isAdopting = true
    try {
      await abortable(Promise.allSettled([this.#relieving]), signal)
      await this.#adopt(txid, found, signal)
    } finally {
      this.#isAdopting = false
    }
  }

  async #adopt(txid: TXID, found: LtxHeader, signal: AbortSignal): Promise<void> {
    const { writer, name } = this.#parts
    const key = `TXID ${formatTxid(txid)}`
    const decision = writer.decideContention(found)
    if (decision === 'fenced' && writer.claim !== undefined) {
      throw await writer.claim.fenced(epochOf(found.nodeId), signal)
    }
    const head = await this.#listed(() => writer.look(signal), signal)
    const end = head.header && endOfHeader(head.header)
    const result = end && this.source.capture.adopt(end, head.header!.commit)
    const reopened = result?.proven === true ? undefined : await this.#endsAsIdle(head, signal)
    if (result?.proven === true || reopened !== undefined) {
      if (reopened !== undefined) this.#phase = reopened
      // Done first, because the event answers those who wait for the adopted TXID.
      await writer.forgetPending(head)
      this.#emit({ type: 'adopted', txid: head.txid! })
      return
    }
    const reason = result === undefined ? 'it was not written from a WAL' : result.reason
    const words = `${key} is not part of this database's history (${reason})`
    const isOwn = this.#isOwnCopy(head)
    if (decision !== 'prove-or-base' && !isOwn) {
      const message = `Another writer has taken over the replica of ${name}: ${words}.`
      throw new FencedError('TakenOver', name, key, message)
    }
    const baseReason = isOwn
      ? `another process stored ${key}, and the WAL was restarted since`
      : `an older writer was at work, and ${words}`
    this.#phase =
      this.#phase.kind === 'unlocated'
        ? unlocated(baseReason)
        : { kind: 'needsBase', reason: baseReason }
    await writer.forgetPending(head)
  }

  /**
   * The state of the database, so that it can be closed while it is idle. `undefined` while it
   * cannot be closed: it is large, is being copied, or has changes that are not in the replica.
   */
  async readIdleState(): Promise<PageChecksums | undefined> {
    const { capture, file } = this.source
    if (this.needsPreparing || this.snapshots.isRunning || !capture.isFullyCaptured)
      return undefined
    if (this.#parts.writer.shipper.pending.length > 0) return undefined
    if (file.size() > MAX_IDLE_BYTES) return undefined
    if ((await capture.scan()) !== undefined || capture.hasUnpublished) return undefined
    if (this.source.mismatch() !== undefined) return undefined
    const { captured } = this.#parts.writer
    return captured && readPageChecksums(this.source, await capture.view(), captured)
  }

  /** Closes the connections. False while they cannot be closed safely (`SourceDatabase.close`). */
  async close(keepLog?: boolean): Promise<boolean> {
    await this.#parts.checkpointer.forget(this.source.path)
    return await this.source.close(keepLog)
  }

  /** Compares the pages of a database that was idle with its remembered state. */
  async #compare(sums: PageChecksums, signal: AbortSignal): Promise<Phase> {
    await this.snapshots.ended() // One that is running relies on the read mark, which moves here.
    const { writer, bootId } = this.#parts
    const isMainFileChanged = this.#known.kind === 'idle' && this.#known.isMainFileChanged
    const result = await reopenIdle(this.source, writer, sums, bootId, isMainFileChanged, signal)
    this.#emit({ type: 'reopened', proven: result.proven, pages: result.pages })
    const { baseReason: reason } = result
    return reason === undefined ? FOLLOWING : { kind: 'needsBase', reason }
  }

  /** Did a command without a claim write the end of the replica from this database, whose log has been restarted since? */
  #isOwnCopy({ header }: ReplicaHead): boolean {
    const { claim, shipper } = this.#parts.writer
    const end = header && endOfHeader(header)
    if (claim === undefined || end === undefined || epochOf(header!.nodeId) !== 0) return false
    return endsInCaptured(
      end,
      shipper.pending.map((file) => file.header),
    )
  }

  /** Has another process stored a copy of this database after its idle state, and nothing else? */
  async #endsAsIdle(head: ReplicaHead, signal: AbortSignal): Promise<Phase | undefined> {
    if (this.#known.kind !== 'idle') return undefined
    const { sums } = this.#known
    if (head.txid !== sums.txid + 1n) return undefined
    const isSame = await endsAsRemembered(this.#parts.writer.client, head, sums, signal)
    return isSame ? { kind: 'reopened', sums } : undefined
  }

  /** Finds the end of the replica, and whether the database continues it. */
  async #locate(baseReason: string | undefined, signal: AbortSignal): Promise<Phase> {
    const head = await this.#listed(() => this.#parts.writer.locate(signal), signal)
    if (head.txid === undefined) return { kind: 'needsBase', reason: NO_REPLICA }
    const reason = baseReason ?? (await this.#resume(head, head.txid, signal))
    return reason === undefined ? FOLLOWING : { kind: 'needsBase', reason }
  }

  /** Tells all who keep account of the replica's files what a look at its end has listed. */
  async #listed(look: () => Promise<ReplicaHead>, signal: AbortSignal): Promise<ReplicaHead> {
    const takeListing = this.#parts.beginListing?.()
    const head = await look()
    takeListing?.(head.files)
    await this.snapshots.loadListing(head, signal)
    return head
  }

  /** Continues where the replica ends, if that can be proven. Returns why it cannot. */
  async #resume(head: ReplicaHead, txid: TXID, signal: AbortSignal): Promise<string | undefined> {
    const { writer, bootId, limits } = this.#parts
    const { client } = writer
    const end = head.header && endOfHeader(head.header)
    const result =
      end === undefined
        ? { proven: false as const, reason: 'the replica does not say where in the WAL it ends' }
        : this.source.capture.resume(end, head.header!.commit, bootId)
    if (result.proven) {
      if (this.#canLearnSums) {
        const found = await limits.fullCopy.run(() =>
          checkMainFile(client, head, this.source, signal),
        )
        if (found.belongs === false) return 'the main file is not the one that its WAL belongs to'
        writer.learnSums(found.sums)
      }
      this.#emit({ type: 'resumed', txid, proof: 'wal' })
      return undefined
    }
    const sums = await limits.fullCopy.run(() => proveByChecksum(client, head, this.source, signal))
    if (sums === undefined) return result.reason
    writer.learnSums(sums)
    this.#emit({ type: 'resumed', txid, proof: 'checksum' })
    return undefined
  }

  /** Can the database be read now, is it small enough, and is that the writer's newest state? */
  get #canLearnSums(): boolean {
    const { shipper } = this.#parts.writer
    const { capture, file } = this.source
    if (this.snapshots.isRunning || shipper.pending.length > 0) return false
    return capture.isFullyCaptured && file.size() <= MAX_LEARNED_BYTES
  }

  /**
   * Reads all pages once if their checksums are not known, so that the next file can carry them.
   */
  async #learnSums(signal: AbortSignal): Promise<void> {
    const { writer, limits } = this.#parts
    const { capture } = this.source
    if (this.#phase.kind !== 'following' || writer.hasSums || !this.#canLearnSums) return
    writer.learnSums(
      await limits.fullCopy.run(async () => readSums(this.source, await capture.view(), signal)),
    )
  }

  async #takeBase(reason: string, signal: AbortSignal): Promise<'ready' | 'empty' | 'again'> {
    const { writer, policy, limits, now } = this.#parts
    const startedAt = now()
    const view = await this.source.capture.pinFullView(signal)
    if (view.commit === 0) return 'empty'
    const first = writer.captured === undefined
    try {
      const base = await limits.fullCopy.run(() => writer.putBase(this.source, view, signal))
      if (first) policy.recordSnapshot(base.txid, startedAt)
      this.#phase = FOLLOWING
      this.#collisions = 0
      this.#emit({ type: 'base', reason, ms: now() - startedAt, ...base })
      return 'ready'
    } catch (error) {
      if (!isStoreError(error) || error.code !== 'AlreadyExists') throw error
      // Either an earlier attempt succeeded and its response was lost, or another writer is active: list again.
      this.#collisions += 1
      this.#phase = unlocated()
      if (this.#collisions <= MAX_COLLISIONS) return 'again'
      this.#collisions = 0
      throw contentionError(this.#parts.name, writer.claim !== undefined, error)
    }
  }

  /**
   * An older writer may still be running: what was committed since, or else a file that changes
   * nothing, goes into the slot that it would write next.
   */
  async #fence(): Promise<'ready' | 'again'> {
    if (await this.capture(this.#parts.now())) return 'ready'
    if (!this.source.capture.isFullyCaptured) return 'again'
    await this.#parts.writer.queueFenceFile(this.source)
    return 'ready'
  }
}

/**
 * A base has found its slot taken too often. A writer with a claim may retry: older writers notice
 * soon that they are fenced, and a newer one would have fenced this one.
 */
function contentionError(database: string, isClaimed: boolean, cause: StoreError): Error {
  const message = `Another writer keeps writing to the replica of ${database}.`
  const { key = '' } = cause
  if (!isClaimed) return new FencedError('TakenOver', database, key, message, { cause })
  return new StoreError('AlreadyExists', message, { op: 'put', key, retryable: true, cause })
}
