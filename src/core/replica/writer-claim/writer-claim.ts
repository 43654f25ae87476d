import type { TXID } from '../../ltx/index.ts'
import { isStoreError, type ObjectStore } from '../../store/index.ts'
import type { LtxFileInfo } from '../replica-client.ts'
import { EpochEntry, type EpochEntryOptions, holderOf, type Look } from './claim-entry.ts'
import { takenOver } from './claim-errors.ts'
import type { EndRecord, EpochObject } from './claim-records.ts'
import { isClaimed, newestAbove, readEnd, readRecentEnds, writeEnd } from './claim-store.ts'
import {
  epochOf,
  isCurrent,
  nodeIdOf,
  protectedSlotsOf,
  question,
  standingOf,
} from './epoch-rules.ts'
import { FencedError } from './fenced-error.ts'
import { type SeenHead, type TakenOver, TakeOver } from './take-over.ts'

export interface EpochClaimOptions extends EpochEntryOptions {
  /** Default: the process's clocks. */
  readonly clock?: (() => Instant) | undefined
}

/** One moment by two clocks, in milliseconds: the monotonic one may stand still while the machine sleeps, the other may be set back. */
export interface Instant {
  readonly wall: number
  readonly monotonic: number
}

/**
 * A writer's claim to one replica. The newest claim owns it; an older writer finds that out when it
 * meets the newer one's first file in its next slot, or asks after a pause. No heartbeat and no
 * lease time: an idle database costs no request.
 */
export class EpochClaim {
  readonly #database: string
  readonly #store: ObjectStore
  readonly #random: number
  readonly #entry: EpochEntry
  readonly #clock: () => Instant
  #epoch: number | undefined
  #takeOver: TakeOver | undefined
  #head: SeenHead = { txid: undefined, epoch: undefined }
  /** What the look before the claim found. */
  #objects: readonly EpochObject[] = []
  #recentEnds: readonly EndRecord[] | undefined
  /** When the claim was last known to be the newest. */
  #knownAt: Instant = { wall: 0, monotonic: 0 }

  /** @param store rooted at the replica's prefix; stays the caller's to close */
  constructor(database: string, store: ObjectStore, options: EpochClaimOptions) {
    this.#database = database
    this.#store = store
    this.#random = options.random
    this.#entry = new EpochEntry(database, store, options)
    this.#clock = options.clock ?? systemClock
  }

  /** This moment, by the clocks that the claim goes by. */
  now(): Instant {
    return this.#clock()
  }

  /** `undefined` until `stand` has claimed one. */
  get epoch(): number | undefined {
    return this.#epoch
  }

  /** For the headers of this writer's files. */
  get nodeId(): bigint {
    return nodeIdOf(this.#epoch ?? 0, this.#random)
  }

  /** Older writers that may be alive and have met no file of this one's: one must be written without delay. */
  get unfenced(): number {
    return this.#takeOver?.open ?? 0
  }

  /**
   * Claims an epoch after the first look at the replica; after every later one, makes sure that the
   * claim still counts. False: look again, because another writer claimed at the same moment, or
   * because so much time passed between the look and the claim that slots may have been taken and
   * pruned in between.
   *
   * @param lookedAt when the look began, by `now`
   * @throws FencedError `ClaimHeld` for a strict writer; `TakenOver` if the claim no longer counts
   * @throws StoreError `Unsupported` for a store that does not enforce create-only puts
   */
  async stand(look: Look, lookedAt: Instant, signal?: AbortSignal): Promise<boolean> {
    const standing = standingOf(look.epochs)
    this.#head = { txid: look.txid, epoch: slotEpoch(look) }
    if (this.#epoch === undefined) {
      const epoch = await this.#entry.enter(look, signal)
      if (epoch === undefined) return false
      this.#epoch = epoch
      this.#knownAt = lookedAt
      this.#objects = look.epochs
      const open = standing.open.filter((other) => other < epoch)
      this.#takeOver = new TakeOver(this.#store, epoch, open)
      if (question(elapsed(lookedAt, this.#clock())) !== 'none') return false
    }
    if (isCurrent(this.#epoch, standing.newest)) return true
    throw await this.fenced(standing.newest, signal)
  }

  /**
   * Makes sure that no newer writer has begun, unless that was known a minute ago.
   *
   * @throws FencedError, StoreError
   */
  async assertFresh(signal?: AbortSignal): Promise<void> {
    const asked = question(elapsed(this.#knownAt, this.#clock()))
    if (asked !== 'none') await this.#ask(asked, signal)
  }

  /**
   * A put that counts only while the claim does.
   *
   * @throws FencedError if a newer writer has begun; a put that took effect too late is taken back
   *   where that is safe
   * @throws StoreError of the put, or where the question could not be asked
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

  /** Makes sure that no newer writer has begun. @throws FencedError, StoreError */
  async assertCurrent(signal?: AbortSignal): Promise<void> {
    const asked = question(elapsed(this.#knownAt, this.#clock()))
    await this.#ask(asked === 'none' ? 'next' : asked, signal)
  }

  /** A file of this epoch stands in the slot. Returns whom it has fenced, if it is the first. */
  async landed(slot: TXID, signal?: AbortSignal): Promise<TakenOver | undefined> {
    const at = new Date(this.#clock().wall)
    return await this.#takeOver?.landed(slot, this.#head, at, { signal })
  }

  /**
   * Slots whose level-0 files retention must leave.
   *
   * @throws StoreError
   */
  async protectedSlots(signal?: AbortSignal): Promise<TXID[]> {
    const { wall } = this.#clock()
    this.#recentEnds ??= await readRecentEnds(this.#store, this.#objects, wall, { signal })
    return protectedSlotsOf([...this.#recentEnds, ...(this.#takeOver?.ends ?? [])], wall)
  }

  /**
   * Ends the epoch, after the last write of this writer: the next one then need not fence it.
   *
   * @throws StoreError
   */
  async release(signal?: AbortSignal): Promise<void> {
    if (this.#epoch === undefined) return
    await this.#takeOver?.writeEnds({ signal })
    const at = new Date(this.#clock().wall)
    await writeEnd(this.#store, { epoch: this.#epoch, by: 'writer', at }, { signal })
  }

  /** The error that says who the newer writer is. */
  async fenced(newer: number, signal?: AbortSignal): Promise<FencedError> {
    const holder = await holderOf(this.#store, newer, signal)
    return takenOver(this.#database, this.#epoch ?? 0, newer, holder)
  }

  /**
   * If the slot is the one that the successor took first, this object stands where the successor's
   * was until retention deleted it. In any other slot it may be older than the take-over and part of
   * the history: it stays.
   */
  async #withdraw({ maxTxid, key }: LtxFileInfo, signal: AbortSignal | undefined): Promise<void> {
    try {
      const end = this.#epoch && (await readEnd(this.#store, this.#epoch, { signal }))
      if (end && end.slot === maxTxid) await this.#store.delete(key, { signal })
    } catch (error) {
      // The fencing is what the caller reports; what is left is superseded, and retention's.
      if (!isStoreError(error)) throw error
    }
  }

  async #ask(whom: 'next' | 'all', signal: AbortSignal | undefined): Promise<void> {
    if (this.#epoch === undefined) throw new TypeError('nothing has been claimed yet')
    const [store, epoch, at] = [this.#store, this.#epoch, this.#clock()]
    if (whom === 'all') {
      const newest = await newestAbove(store, epoch, { signal })
      if (newest > 0) throw await this.fenced(newest, signal)
    } else if (await isClaimed(store, epoch + 1, { signal })) {
      throw await this.fenced(epoch + 1, signal)
    }
    this.#knownAt = at
  }
}

/** Epoch of the file in the newest slot. A compaction or snapshot that ends there says nothing about the slot. */
function slotEpoch({ header }: Look): number | undefined {
  return header?.minTxid === header?.maxTxid ? header && epochOf(header.nodeId) : undefined
}

function systemClock(): Instant {
  return { wall: Date.now(), monotonic: performance.now() }
}

function elapsed(from: Instant, to: Instant): number {
  return Math.max(to.wall - from.wall, to.monotonic - from.monotonic)
}
