import type { TXID } from '../../ltx/index.ts'
import { type CallOptions, isStoreError, type ObjectStore } from '../../store/index.ts'
import type { ClaimRecord, EndRecord } from './claim-records.ts'
import { firstStaleSlot } from './claim-rules.ts'
import { findHolder, writeEnd } from './claim-store.ts'

/** Where a replica ended when it was last listed, and the epoch that wrote that file; `undefined` if unknown. */
export interface SeenHead {
  readonly txid: TXID | undefined
  readonly epoch: number | undefined
}

/** Older writers have been fenced. */
export interface TakenOver {
  /** TXID of the file that fences them. */
  readonly slot: TXID
  /** Newest of their epochs. */
  readonly from: number
  /** Who that was, if its claim can be read. */
  readonly holder: ClaimRecord | undefined
}

/**
 * Fences the older writers whose claims had no end when this writer started; they may be dead, paused
 * or running. First a file of this writer goes into the next slot, and then their epochs are ended.
 */
export class TakeOver {
  readonly #store: ObjectStore
  readonly #epoch: number
  /** Epochs that are not fenced yet, ascending. */
  #unfenced: readonly number[]
  #ends: readonly EndRecord[] = []
  #unwritten: readonly EndRecord[] = []

  /** @param unreleased epochs below `epoch` without an end, ascending */
  constructor(store: ObjectStore, epoch: number, unreleased: readonly number[]) {
    this.#store = store
    this.#epoch = epoch
    this.#unfenced = unreleased
  }

  /** Number of older writers that are not fenced yet. */
  get unfenced(): number {
    return this.#unfenced.length
  }

  /** Ends of the fenced epochs, including those that could not be stored yet. */
  get ends(): readonly EndRecord[] {
    return this.#ends
  }

  /**
   * To be called after each stored file of this writer: the first one fences the older epochs. An
   * error of the store is not thrown, because the file is what fences; ends that are not written now
   * are written after a later file.
   *
   * @param head the replica's head when the file was numbered
   */
  async recordStored(
    slot: TXID,
    head: SeenHead,
    at: Date,
    options: CallOptions,
  ): Promise<TakenOver | undefined> {
    const from = this.#unfenced.at(-1)
    if (from !== undefined) {
      const before = head.txid !== undefined && head.txid + 1n === slot ? head.epoch : undefined
      this.#ends = this.#unfenced.map((epoch) => ({
        epoch,
        by: 'successor',
        at,
        slot,
        from: firstStaleSlot(epoch, before, slot),
        successor: this.#epoch,
      }))
      this.#unwritten = this.#ends
      this.#unfenced = []
    }
    const written = await this.writeEnds(options)
    if (from === undefined) return undefined
    const holder = written ? await findHolder(this.#store, from, options.signal) : undefined
    return { slot, from, holder }
  }

  /** Writes the ends that are not stored yet. Returns false if the store failed. */
  async writeEnds(options: CallOptions): Promise<boolean> {
    try {
      for (const end of this.#unwritten) {
        await writeEnd(this.#store, end, options)
        this.#unwritten = this.#unwritten.slice(1)
      }
      return true
    } catch (error) {
      if (isStoreError(error)) return false
      throw error
    }
  }
}
