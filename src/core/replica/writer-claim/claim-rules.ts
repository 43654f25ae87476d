import type { TXID } from '../../ltx/index.ts'
import type { EndRecord, EpochObject } from './claim-records.ts'

/*
 * Every decision that one writer makes about another, as pure functions, so that a model can try all
 * interleavings of the code that runs (test/core/engine/fencing-model.slow.test.ts).
 */

/** What a starting writer does about another writer's claim: `newest` takes over; `strict` refuses to start while that claim is locked. */
export type SingleWriter = 'newest' | 'strict'

/** For how long a checked claim counts as current, in milliseconds. Must be shorter than any grace period of deletions. */
export const FRESH_MS = 60_000
/** After this the next claim may have expired already, so all newer ones are listed; in milliseconds. */
export const LONG_MS = 24 * 3_600_000
/** For how long the files around a take-over are protected from deletion, in milliseconds. */
export const PROTECT_MS = 7 * LONG_MS
/** Age at which the objects of an ended epoch expire, in milliseconds. */
export const OLD_MS = 30 * LONG_MS
/** Newest epochs that never expire. */
const KEPT = 3
/** Newest epochs that are kept for `OLD_MS`; older ones expire after `LONG_MS`. */
const MANY = 1000
/** Slots that are protected where it is not known which one the older writer was about to write. */
const UNKNOWN_SLOTS = 32n
/** Larger epochs in a NodeID were not assigned by walsync: other programs write anything there. */
const PLAUSIBLE = 1 << 24

/** Writer epoch in the NodeID of a file; 0 if its writer had no claim. */
export function epochOf(nodeId: bigint): number {
  return Number(BigInt.asUintN(64, nodeId) >> 32n)
}

/** NodeID of a writer. @param random 32 bits that are not 0 */
export function nodeIdOf(epoch: number, random: number): bigint {
  return (BigInt(epoch) << 32n) | BigInt(random >>> 0)
}

/** What the epoch objects of a replica say about its writers. */
export interface ClaimState {
  /** Newest epoch that was claimed; 0 if none was. */
  readonly newest: number
  /** Claims without an end, ascending: their writers may be running. */
  readonly unreleased: readonly number[]
  /** Those of them that no operator has unlocked. */
  readonly locked: readonly number[]
}

export function claimState(objects: readonly EpochObject[]): ClaimState {
  const of = (kind: EpochObject['kind']) =>
    new Set(objects.filter((object) => object.kind === kind).map(({ epoch }) => epoch))
  const [claims, ends, unlocks] = [of('claim'), of('end'), of('unlock')]
  const unreleased = [...claims].filter((epoch) => !ends.has(epoch)).sort((a, b) => a - b)
  return {
    newest: Math.max(0, ...claims, ...ends),
    unreleased,
    locked: unreleased.filter((epoch) => !unlocks.has(epoch)),
  }
}

export type StartDecision =
  | { readonly kind: 'refuse'; readonly epoch: number }
  | { readonly kind: 'claim'; readonly epoch: number }

/**
 * Whether a writer may start, and under which epoch.
 *
 * @param headEpoch epoch of the replica's newest file, in case the claims were deleted
 */
export function decideStart(
  { newest, locked }: ClaimState,
  headEpoch: number,
  singleWriter: SingleWriter,
): StartDecision {
  const holder = locked.at(-1)
  if (singleWriter === 'strict' && holder !== undefined) return { kind: 'refuse', epoch: holder }
  const seen = headEpoch <= PLAUSIBLE ? Math.max(newest, headEpoch) : newest
  return { kind: 'claim', epoch: seen + 1 }
}

/** Whether a writer still owns the replica after a listing whose newest claim is `newest`. */
export function isCurrent(ownEpoch: number, newest: number): boolean {
  return newest <= ownEpoch
}

/**
 * What a writer does when another writer's file is already in its next slot.
 *
 * `fenced`: it stops. `prove-or-stop`: it continues after that file if the file is from this
 * database's own history, and stops otherwise. `prove-or-base`: it continues after that file, if
 * need be with a new base, because the other writer is older and will find this one's file next.
 */
export type ContentionDecision = 'fenced' | 'prove-or-stop' | 'prove-or-base'

/**
 * @param ownEpoch epoch of this writer, 0 without a claim
 * @param foundEpoch epoch of the file in the slot, 0 if its writer had no claim
 */
export function decideContention(ownEpoch: number, foundEpoch: number): ContentionDecision {
  if (ownEpoch === 0 || foundEpoch === 0) return 'prove-or-stop'
  return foundEpoch < ownEpoch ? 'prove-or-base' : 'fenced'
}

/** What a writer writes first: nothing until there is a change, a fence file without pages, or the whole database. */
export type FirstFile = 'none' | 'fence' | 'base'

/**
 * @param proven the WAL is proven to continue the replica
 * @param mustFence an older claim has no end, and no file of this writer fences it yet
 */
export function firstFile(proven: boolean, mustFence: boolean): FirstFile {
  if (!proven) return 'base'
  return mustFence ? 'fence' : 'none'
}

/**
 * Which newer claims to look for before a write, and before it counts.
 *
 * @param elapsedMs time since the claim was last known to be current
 */
export function freshnessCheck(elapsedMs: number): 'none' | 'next' | 'all' {
  if (elapsedMs <= FRESH_MS) return 'none'
  return elapsedMs <= LONG_MS ? 'next' : 'all'
}

/**
 * First slot that a fenced writer may have been about to write when its successor wrote `slot`:
 * `slot` itself if the fenced writer's own file is right before it, otherwise some slots earlier.
 *
 * @param before epoch of the file in the slot before; `undefined` if unknown
 */
export function firstStaleSlot(epoch: number, before: number | undefined, slot: TXID): TXID {
  if (before === epoch) return slot
  return earliest(slot)
}

function earliest(slot: TXID): TXID {
  return (slot > UNKNOWN_SLOTS ? slot - UNKNOWN_SLOTS : 1n) as TXID
}

/**
 * Slots whose level-0 files retention must keep even when they are superseded. A writer that was
 * paused before the take-over and resumes now would find the slots free, and write there.
 *
 * @param now in milliseconds
 */
export function protectedSlots(ends: readonly EndRecord[], now: number): TXID[] {
  const slots = new Set<TXID>()
  for (const { at, slot, from } of ends) {
    if (slot === undefined || now - at.getTime() > PROTECT_MS) continue
    const first = from ?? slot
    for (let each = slot; each >= first && each >= earliest(slot); each = (each - 1n) as TXID)
      slots.add(each)
  }
  return [...slots].sort((a, b) => (a < b ? -1 : 1))
}

/**
 * Objects of ended epochs that can be deleted: older than 30 days, or older than a day where a
 * process that keeps restarting has left a thousand newer epochs. Never those of the newest three
 * epochs, nor of an epoch without an end.
 *
 * @param storeNow latest `lastModified` of the listing: ages go by the store's clock
 */
export function expiredEpochs(objects: readonly EpochObject[], storeNow: Date): EpochObject[] {
  const { unreleased } = claimState(objects)
  const youngest = new Map<number, number>()
  for (const { epoch, lastModified } of objects) {
    const age = storeNow.getTime() - lastModified.getTime()
    youngest.set(epoch, Math.min(age, youngest.get(epoch) ?? age))
  }
  const expired = new Set(
    [...youngest]
      .sort(([a], [b]) => b - a)
      .filter(([, age], rank) => rank >= KEPT && age > (rank < MANY ? OLD_MS : LONG_MS))
      .map(([epoch]) => epoch),
  )
  for (const epoch of unreleased) expired.delete(epoch)
  return objects.filter(({ epoch }) => expired.has(epoch))
}
