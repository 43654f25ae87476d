import { hostname } from 'node:os'
import { type Clock, type Instant, systemClock } from '../../async/clock.ts'
import type { LtxHeader, TXID } from '../../ltx/index.ts'
import { isStoreError, type ObjectStore, StoreError } from '../../store/index.ts'
import type { LtxFileInfo } from '../replica-client.ts'
import {
  type ClaimRecord,
  type EndRecord,
  type EpochObject,
  encodeClaim,
  epochKey,
} from './claim-records.ts'
import {
  claimState,
  decideStart,
  epochOf,
  expiredEpochs,
  freshnessCheck,
  isCurrent,
  nodeIdOf,
  protectedSlots,
  type SingleWriter,
} from './claim-rules.ts'
import {
  findHolder,
  isClaimed,
  newestAbove,
  readClaim,
  readEnd,
  readRecentEnds,
  writeEnd,
} from './claim-store.ts'
import { CreateOnlyCheck, UNFENCED_HINT } from './create-only-check.ts'
import { claimHeld, FencedError, takenOver } from './fenced-error.ts'
import { type SeenHead, type TakenOver, TakeOver } from './take-over.ts'

/** Listings that may lack a claim that the store has refused to create a second time. */
const MAX_UNLISTED = 3

export interface EpochClaimOptions {
  readonly singleWriter: SingleWriter
  /** 32 bits that tell this writer from others, not 0. */
  readonly random: number
  /** Default: one for this claim alone. */
  readonly createOnlyCheck?: CreateOnlyCheck | undefined
  /** Tells the database file from copies of it (`ClaimRecord.file`); `undefined` while that is not known. */
  readonly file?: (() => string | undefined) | undefined
  /** Name of the hand-over lock (`ClaimRecord.lock`). */
  readonly lock?: string | undefined
  /** Default: the clocks of the process. */
  readonly clock?: Clock | undefined
}

/** The part of a replica's head that a claim depends on. */
export interface ClaimedHead {
  /** Newest TXID; `undefined` for a replica without files. */
  readonly txid: TXID | undefined
  /** Header of a file that ends there; `undefined` if it cannot be decoded. */
  readonly header: LtxHeader | undefined
  readonly epochs: readonly EpochObject[]
  /** Latest `lastModified` of the listing, by the store's clock. */
  readonly storeNow: Date
}

/**
 * A writer's claim to one replica. The newest claim owns the replica. An older writer is fenced when
 * it finds the newer one's first file in its next slot, or when it checks the claims after a pause.
 * There is no heartbeat and no lease time: an idle database costs no request.
 */
export class EpochClaim {
  readonly #database: string
  readonly #store: ObjectStore
  readonly #options: EpochClaimOptions
  readonly #createOnlyCheck: CreateOnlyCheck
  readonly #clock: Clock
  #epoch: number | undefined
  /** Epochs whose claim was sent and not answered: they may be this writer's own. */
  readonly #unanswered = new Set<number>()
  /** Epoch that was refused because it is claimed, and how often a listing after that has not shown it. */
  #refused = { epoch: 0, unlisted: 0 }
  #takeOver: TakeOver | undefined
  #head: SeenHead = { txid: undefined, epoch: undefined }
  /** Epoch objects of the listing before the claim. */
  #objects: readonly EpochObject[] = []
  #recentEnds: readonly EndRecord[] | undefined
  /** When the claim was last known to be the newest. */
  #knownAt: Instant = { wall: 0, monotonic: 0 }

  /** @param store rooted at the replica's prefix; the caller closes it */
  constructor(database: string, store: ObjectStore, options: EpochClaimOptions) {
    this.#database = database
    this.#store = store
    this.#options = options
    this.#createOnlyCheck = options.createOnlyCheck ?? new CreateOnlyCheck()
    this.#clock = options.clock ?? systemClock
  }

  /** This moment, by the clocks of the claim. */
  now(): Instant {
    return this.#clock()
  }

  /** `undefined` until `acquire` has claimed one. */
  get epoch(): number | undefined {
    return this.#epoch
  }

  /** For the headers of this writer's files. */
  get nodeId(): bigint {
    return nodeIdOf(this.#epoch ?? 0, this.#options.random)
  }

  /** Number of older writers that may be running and are not fenced yet; if any, write a file without delay. */
  get unfenced(): number {
    return this.#takeOver?.unfenced ?? 0
  }

  /**
   * Claims an epoch the first time; later, makes sure that the claim is still the newest. Returns
   * false if the replica has to be listed again: another writer claimed at the same moment, or so
   * much time passed between the listing and the claim that slots may have been written and pruned
   * in between.
   *
   * @param head from a listing of the replica
   * @param listedAt when that listing began, by `now`
   * @throws FencedError `ClaimHeld` for a strict writer; `TakenOver` if a newer claim exists
   * @throws StoreError `Unsupported` for a store that does not enforce create-only puts
   */
  async acquire(head: ClaimedHead, listedAt: Instant, signal?: AbortSignal): Promise<boolean> {
    const state = claimState(head.epochs)
    this.#head = { txid: head.txid, epoch: slotEpoch(head) }
    if (this.#epoch === undefined) {
      const epoch = await this.#claimEpoch(head, signal)
      if (epoch === undefined) return false
      this.#epoch = epoch
      this.#knownAt = listedAt
      this.#objects = head.epochs
      const older = state.unreleased.filter((other) => other < epoch)
      this.#takeOver = new TakeOver(this.#store, epoch, older)
      if (freshnessCheck(elapsed(listedAt, this.#clock())) !== 'none') return false
    }
    if (isCurrent(this.#epoch, state.newest)) return true
    throw await this.fenced(state.newest, signal)
  }

  /**
   * Makes sure that there is no newer claim, unless that was checked within the last minute.
   *
   * @throws FencedError, StoreError
   */
  async assertFresh(signal?: AbortSignal): Promise<void> {
    const check = freshnessCheck(elapsed(this.#knownAt, this.#clock()))
    if (check !== 'none') await this.#assertNewest(check, signal)
  }

  /**
   * Runs a put that counts only while the claim is the newest.
   *
   * @throws FencedError if a newer claim exists; a file that was stored too late is deleted again
   *   where that is safe
   * @throws StoreError of the put, or of the check
   */
  async guard(put: () => Promise<LtxFileInfo>, signal?: AbortSignal): Promise<LtxFileInfo> {
    await this.assertFresh(signal)
    const file = await put()
    try {
      await this.assertFresh(signal)
    } catch (error) {
      if (error instanceof FencedError) await this.#withdraw(file, signal)
      throw error
    }
    return file
  }

  /** Makes sure that there is no newer claim. @throws FencedError, StoreError */
  async assertCurrent(signal?: AbortSignal): Promise<void> {
    const check = freshnessCheck(elapsed(this.#knownAt, this.#clock()))
    await this.#assertNewest(check === 'none' ? 'next' : check, signal)
  }

  /** To be called after each stored file of this epoch. Returns whom it has fenced, if it is the first. */
  async recordStored(slot: TXID, signal?: AbortSignal): Promise<TakenOver | undefined> {
    const at = new Date(this.#clock().wall)
    return await this.#takeOver?.recordStored(slot, this.#head, at, { signal })
  }

  /**
   * Slots whose level-0 files retention must keep.
   *
   * @throws StoreError
   */
  async protectedSlots(signal?: AbortSignal): Promise<TXID[]> {
    const { wall } = this.#clock()
    this.#recentEnds ??= await readRecentEnds(this.#store, this.#objects, wall, { signal })
    return protectedSlots([...this.#recentEnds, ...(this.#takeOver?.ends ?? [])], wall)
  }

  /**
   * Ends the epoch after this writer's last write, so that the next writer need not fence it.
   *
   * @throws StoreError
   */
  async release(signal?: AbortSignal): Promise<void> {
    if (this.#epoch === undefined) return
    await this.#takeOver?.writeEnds({ signal })
    const at = new Date(this.#clock().wall)
    await writeEnd(this.#store, { epoch: this.#epoch, by: 'writer', at }, { signal })
  }

  /** The error that names the newer writer. */
  async fenced(newer: number, signal?: AbortSignal): Promise<FencedError> {
    const holder = await findHolder(this.#store, newer, signal)
    const { file, lock } = this.#options
    const own = { epoch: this.#epoch ?? 0, file: file?.(), lock }
    return takenOver(this.#database, own, newer, holder)
  }

  /** Claims an epoch and deletes expired ones. `undefined`: another writer claimed it at the same moment. */
  async #claimEpoch(
    head: ClaimedHead,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    if (this.#store.capabilities.ifAbsent !== 'atomic') throw withoutConditions(this.#store)
    const epoch = (await this.#findOwnClaim(head, signal)) ?? (await this.#putClaim(head, signal))
    if (epoch !== undefined) await this.#deleteExpired(head, signal)
    return epoch
  }

  /** The newest stored claim among those whose response was lost. */
  async #findOwnClaim(
    { epochs }: ClaimedHead,
    signal: AbortSignal | undefined,
  ): Promise<number | undefined> {
    const candidates = epochs.filter(
      ({ kind, epoch }) => kind === 'claim' && this.#unanswered.has(epoch),
    )
    for (const { epoch } of candidates.toReversed()) {
      const claim = await readClaim(this.#store, epoch, { signal })
      if (claim?.nodeId !== nodeIdOf(epoch, this.#options.random)) continue
      const other = encodeClaim(claim, 'trial')
      await this.#createOnlyCheck.confirm(this.#store, epochKey(epoch, 'claim'), other, signal)
      return epoch
    }
    return undefined
  }

  async #putClaim(head: ClaimedHead, signal: AbortSignal | undefined): Promise<number | undefined> {
    const { singleWriter, random } = this.#options
    const headEpoch = head.header === undefined ? 0 : epochOf(head.header.nodeId)
    const { kind, epoch } = decideStart(claimState(head.epochs), headEpoch, singleWriter)
    if (kind === 'refuse') {
      throw claimHeld(this.#database, epoch, await findHolder(this.#store, epoch, signal))
    }
    const claim: ClaimRecord = {
      epoch,
      nodeId: nodeIdOf(epoch, random),
      host: hostname(),
      pid: process.pid,
      startedAt: new Date(),
      head: head.txid,
      file: this.#options.file?.(),
      lock: this.#options.lock,
    }
    const bodies = { body: encodeClaim(claim), other: encodeClaim(claim, 'trial') }
    try {
      await this.#createOnlyCheck.claim(this.#store, epochKey(epoch, 'claim'), bodies, signal)
      return epoch
    } catch (error) {
      if (isStoreError(error) && error.code === 'AlreadyExists') return this.#recordRefusal(epoch)
      this.#unanswered.add(epoch)
      throw error
    }
  }

  /** Another writer was faster, and the next listing shows its claim. @throws StoreError if none does */
  #recordRefusal(epoch: number): undefined {
    const again = this.#refused.epoch === epoch
    this.#refused = { epoch, unlisted: again ? this.#refused.unlisted + 1 : 0 }
    if (this.#refused.unlisted >= MAX_UNLISTED) throw unlistedClaim(this.#store, epoch)
  }

  /** What cannot be deleted now is tried again at the next start. */
  async #deleteExpired(
    { epochs, storeNow }: ClaimedHead,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const keys = expiredEpochs(epochs, storeNow).map(({ key }) => key)
    if (keys.length === 0) return
    try {
      for await (const _failure of this.#store.deleteMany(keys, { signal }));
    } catch (error) {
      if (!isStoreError(error)) throw error
    }
  }

  /**
   * Deletes a file that was stored after the take-over. Only in the slot that the successor wrote
   * first: there the successor's own file was, until retention deleted it. A file in any other slot
   * may be older than the take-over and part of the history, so it stays.
   */
  async #withdraw({ maxTxid, key }: LtxFileInfo, signal: AbortSignal | undefined): Promise<void> {
    try {
      const end = this.#epoch && (await readEnd(this.#store, this.#epoch, { signal }))
      if (end && end.slot === maxTxid) await this.#store.delete(key, { signal })
    } catch (error) {
      // The caller reports the fencing; a file that is left is superseded, and retention deletes it.
      if (!isStoreError(error)) throw error
    }
  }

  async #assertNewest(which: 'next' | 'all', signal: AbortSignal | undefined): Promise<void> {
    if (this.#epoch === undefined) throw new TypeError('no epoch has been claimed yet')
    const [store, epoch, at] = [this.#store, this.#epoch, this.#clock()]
    if (which === 'all') {
      const newest = await newestAbove(store, epoch, { signal })
      if (newest > 0) throw await this.fenced(newest, signal)
    } else if (await isClaimed(store, epoch + 1, { signal })) {
      throw await this.fenced(epoch + 1, signal)
    }
    this.#knownAt = at
  }
}

/** Epoch of the file in the newest slot. A compaction or snapshot that ends there says nothing about the slot. */
function slotEpoch({ header }: ClaimedHead): number | undefined {
  return header?.minTxid === header?.maxTxid ? header && epochOf(header.nodeId) : undefined
}

function unlistedClaim({ description }: ObjectStore, epoch: number): StoreError {
  const key = epochKey(epoch, 'claim')
  const message = `${description} does not list the object ${key}, which it refuses to create because it exists.`
  return new StoreError('Unavailable', message, {
    op: 'list',
    hint: 'Its listings are incomplete or late, so that a history could be missed. Run walsync doctor.',
  })
}

function withoutConditions({ description }: ObjectStore): StoreError {
  const message = `${description} has no create-only puts, so two writers of a replica could not detect each other.`
  return new StoreError('Unsupported', message, { op: 'put', hint: UNFENCED_HINT })
}

function elapsed(from: Instant, to: Instant): number {
  return Math.max(to.wall - from.wall, to.monotonic - from.monotonic)
}
