import { hostname } from 'node:os'
import type { LtxHeader, TXID } from '../../ltx/index.ts'
import { isStoreError, type ObjectStore, StoreError } from '../../store/index.ts'
import { claimHeld } from './claim-errors.ts'
import { type ClaimRecord, type EpochObject, encodeClaim, epochKey } from './claim-records.ts'
import { readClaim } from './claim-store.ts'
import { FencingProof, UNFENCED_HINT } from './create-only-check.ts'
import {
  decideStart,
  epochOf,
  forgottenOf,
  type Lease,
  nodeIdOf,
  standingOf,
} from './epoch-rules.ts'

export interface EpochEntryOptions {
  readonly lease: Lease
  /** 32 bits that tell this writer from others, not 0. */
  readonly random: number
  /** Default: one for this claim alone. */
  readonly proof?: FencingProof | undefined
}

/** What a look at a replica found. */
export interface Look {
  /** Newest TXID; `undefined` for a replica without files. */
  readonly txid: TXID | undefined
  /** Header of a file that ends there; `undefined` if it cannot be read as one. */
  readonly header: LtxHeader | undefined
  readonly epochs: readonly EpochObject[]
  /** Latest time of the store's own clock in the listing. */
  readonly storeNow: Date
}

/** The way to an epoch of one's own: which one, whether it may be claimed, and whether an earlier try got it. */
export class EpochEntry {
  readonly #database: string
  readonly #store: ObjectStore
  readonly #options: EpochEntryOptions
  readonly #proof: FencingProof
  /** Epochs whose claim was sent without an answer: they may be this writer's own. */
  readonly #unanswered = new Set<number>()

  constructor(database: string, store: ObjectStore, options: EpochEntryOptions) {
    this.#database = database
    this.#store = store
    this.#options = options
    this.#proof = options.proof ?? new FencingProof()
  }

  /**
   * Claims an epoch, and removes claims of long ago. `undefined`: another writer claimed it at the
   * same moment.
   *
   * @throws FencedError `ClaimHeld` for a strict writer
   * @throws StoreError `Unsupported` for a store that does not enforce create-only puts
   */
  async enter(look: Look, signal: AbortSignal | undefined): Promise<number | undefined> {
    this.#assertCapable()
    const epoch = (await this.#ownAmong(look, signal)) ?? (await this.#claim(look, signal))
    if (epoch !== undefined) await this.#forget(look, signal)
    return epoch
  }

  /** Of the claims whose answer was lost, the newest that the store has. */
  async #ownAmong({ epochs }: Look, signal: AbortSignal | undefined): Promise<number | undefined> {
    const candidates = epochs.filter(
      ({ kind, epoch }) => kind === 'claim' && this.#unanswered.has(epoch),
    )
    for (const { epoch } of candidates.toReversed()) {
      const claim = await readClaim(this.#store, epoch, { signal })
      if (claim?.nodeId !== nodeIdOf(epoch, this.#options.random)) continue
      const other = encodeClaim(claim, 'trial')
      await this.#proof.confirm(this.#store, epochKey(epoch, 'claim'), other, signal)
      return epoch
    }
    return undefined
  }

  async #claim(look: Look, signal: AbortSignal | undefined): Promise<number | undefined> {
    const { lease, random } = this.#options
    const headEpoch = look.header === undefined ? 0 : epochOf(look.header.nodeId)
    const { kind, epoch } = decideStart(standingOf(look.epochs), headEpoch, lease)
    if (kind === 'refuse') {
      throw claimHeld(this.#database, epoch, await holderOf(this.#store, epoch, signal))
    }
    const claim: ClaimRecord = {
      epoch,
      nodeId: nodeIdOf(epoch, random),
      host: hostname(),
      pid: process.pid,
      startedAt: new Date(),
      head: look.txid,
    }
    const bodies = { body: encodeClaim(claim), other: encodeClaim(claim, 'trial') }
    try {
      await this.#proof.claim(this.#store, epochKey(epoch, 'claim'), bodies, signal)
      return epoch
    } catch (error) {
      if (isStoreError(error) && error.code === 'AlreadyExists') return undefined
      this.#unanswered.add(epoch)
      throw error
    }
  }

  /** What cannot be deleted now is tried again at the next start. */
  async #forget({ epochs, storeNow }: Look, signal: AbortSignal | undefined): Promise<void> {
    const keys = forgottenOf(epochs, storeNow).map(({ key }) => key)
    if (keys.length === 0) return
    try {
      for await (const _failure of this.#store.deleteMany(keys, { signal }));
    } catch (error) {
      if (!isStoreError(error)) throw error
    }
  }

  #assertCapable(): void {
    if (this.#store.capabilities.ifAbsent === 'atomic') return
    throw new StoreError(
      'Unsupported',
      `${this.#store.description} has no create-only puts: two writers of a replica could not be told apart.`,
      { op: 'put', hint: UNFENCED_HINT },
    )
  }
}

/** Whose claim it is, for messages: an answer that does not come is no reason to say nothing at all. */
export async function holderOf(
  store: ObjectStore,
  epoch: number,
  signal: AbortSignal | undefined,
): Promise<ClaimRecord | undefined> {
  try {
    return await readClaim(store, epoch, { signal })
  } catch (error) {
    if (isStoreError(error)) return undefined
    throw error
  }
}
