import type { TXID } from '../../ltx/index.ts'
import { type CallOptions, isStoreError, type ObjectStore } from '../../store/index.ts'
import { holderOf } from './claim-entry.ts'
import type { ClaimRecord, EndRecord } from './claim-records.ts'
import { writeEnd } from './claim-store.ts'
import { firstStaleSlot } from './epoch-rules.ts'

/** Where a replica ended at the last look, and the epoch that wrote that file; `undefined` if unknown. */
export interface SeenHead {
  readonly txid: TXID | undefined
  readonly epoch: number | undefined
}

/** Older writers have been fenced. */
export interface TakenOver {
  /** The slot that was taken from them. */
  readonly slot: TXID
  /** Newest of their epochs. */
  readonly from: number
  /** Who that was, where its claim can be read. */
  readonly holder: ClaimRecord | undefined
}

/**
 * What a writer owes the older ones whose claims had no end when it began: a file of its own in the
 * next slot, and, once that stands, their ends. They may be dead, paused or at work.
 */
export class TakeOver {
  readonly #store: ObjectStore
  readonly #epoch: number
  /** Not fenced yet, ascending. */
  #open: readonly number[]
  #ends: readonly EndRecord[] = []
  #unwritten: readonly EndRecord[] = []

  /** @param open epochs below `epoch` without an end, ascending */
  constructor(store: ObjectStore, epoch: number, open: readonly number[]) {
    this.#store = store
    this.#epoch = epoch
    this.#open = open
  }

  /** Writers that have met no file of this one's. */
  get open(): number {
    return this.#open.length
  }

  /** Ends that this writer made, also those that the store does not have yet. */
  get ends(): readonly EndRecord[] {
    return this.#ends
  }

  /**
   * A file of this writer stands in the slot. The first one ends the older epochs. Never fails for
   * the store's sake: the file is what fences, and an end that is not written now comes with a later file.
   *
   * @param head the last look before the file was numbered
   */
  async landed(
    slot: TXID,
    head: SeenHead,
    at: Date,
    options: CallOptions,
  ): Promise<TakenOver | undefined> {
    const from = this.#open.at(-1)
    if (from !== undefined) {
      const before = head.txid !== undefined && head.txid + 1n === slot ? head.epoch : undefined
      this.#ends = this.#open.map((epoch) => ({
        epoch,
        by: 'successor',
        at,
        slot,
        from: firstStaleSlot(epoch, before, slot),
        successor: this.#epoch,
      }))
      this.#unwritten = this.#ends
      this.#open = []
    }
    const written = await this.writeEnds(options)
    if (from === undefined) return undefined
    const holder = written ? await holderOf(this.#store, from, options.signal) : undefined
    return { slot, from, holder }
  }

  /** Writes the ends that the store does not have yet. False if it did not take them. */
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
