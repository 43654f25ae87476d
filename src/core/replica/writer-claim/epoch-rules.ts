import type { TXID } from '../../ltx/index.ts'
import type { EndRecord, EpochObject } from './claim-records.ts'

/*
 * What writers decide about one another. Pure, so that a model can try all interleavings of the
 * very decisions that run (test/core/engine/fencing-model.test.ts).
 */

/** `newest`: takes over from any other writer; `strict`: does not begin over another's claim. */
export type Lease = 'newest' | 'strict'

/** How long a claim counts as current without a question, in milliseconds. Shorter than any grace period of a deletion should be. */
export const FRESH_MS = 60_000
/** After this the next claim may have been removed as old: all are asked for, in milliseconds. */
export const LONG_MS = 24 * 3_600_000
/** For how long the slots at a take-over keep their files, in milliseconds. */
export const PROTECT_MS = 7 * LONG_MS
/** Ended claims older than this are removed, in milliseconds. */
export const OLD_MS = 30 * LONG_MS
/** Newest epochs that stay however old they are. */
const KEPT = 3
/** Newest epochs that stay for as long as `OLD_MS`. */
const MANY = 1000
/** Slots before a take-over that keep their files where it is not known which of them the older writer may still try. */
const UNKNOWN_SLOTS = 32n
/** Headers of other programs may hold anything; an epoch beyond this is none of ours. */
const PLAUSIBLE = 1 << 24

/** Epoch in the NodeID of a file; 0: its writer had no claim. */
export function epochOf(nodeId: bigint): number {
  return Number(BigInt.asUintN(64, nodeId) >> 32n)
}

/** NodeID of a writer. @param random 32 bits that are not 0 */
export function nodeIdOf(epoch: number, random: number): bigint {
  return (BigInt(epoch) << 32n) | BigInt(random >>> 0)
}

/** What a listing says about a replica's writers. */
export interface Standing {
  /** Newest epoch that was claimed; 0: none. */
  readonly newest: number
  /** Claims without an end, ascending: their writers may be alive. */
  readonly open: readonly number[]
  /** Those of them that no operator has unlocked. */
  readonly held: readonly number[]
}

export function standingOf(objects: readonly EpochObject[]): Standing {
  const of = (kind: EpochObject['kind']) =>
    new Set(objects.filter((object) => object.kind === kind).map(({ epoch }) => epoch))
  const [claims, ends, unlocks] = [of('claim'), of('end'), of('unlock')]
  const open = [...claims].filter((epoch) => !ends.has(epoch)).sort((a, b) => a - b)
  return {
    newest: Math.max(0, ...claims, ...ends),
    open,
    held: open.filter((epoch) => !unlocks.has(epoch)),
  }
}

export type StartDecision =
  | { readonly kind: 'refuse'; readonly epoch: number }
  | { readonly kind: 'claim'; readonly epoch: number }

/**
 * May a writer begin, and under which epoch?
 *
 * @param headEpoch epoch of the replica's newest file, should the claims have been deleted
 */
export function decideStart(
  { newest, held }: Standing,
  headEpoch: number,
  lease: Lease,
): StartDecision {
  const holder = held.at(-1)
  if (lease === 'strict' && holder !== undefined) return { kind: 'refuse', epoch: holder }
  const seen = headEpoch <= PLAUSIBLE ? Math.max(newest, headEpoch) : newest
  return { kind: 'claim', epoch: seen + 1 }
}

/** Does the claim of `mine` still count, after a look that found `newest`? */
export function isCurrent(mine: number, newest: number): boolean {
  return newest <= mine
}

/**
 * What to do where the next slot holds another writer's file.
 *
 * `fenced`: end. `prove-or-end`: go on behind it if it is of this database's own history, else end.
 * `prove-or-base`: go on behind it, in the worst case with a new base: its writer is older and will
 * meet this one's file next.
 */
export type TakenDecision = 'fenced' | 'prove-or-end' | 'prove-or-base'

/** @param mine epoch of this writer, 0 without a claim; @param found epoch of the file */
export function decideTaken(mine: number, found: number): TakenDecision {
  if (mine === 0 || found === 0) return 'prove-or-end'
  return found < mine ? 'prove-or-base' : 'fenced'
}

/** What a writer that has found its place writes first: nothing yet, a file that changes nothing, or the whole database. */
export type FirstFile = 'none' | 'fence' | 'base'

/**
 * @param proven the WAL is proven to continue the replica
 * @param mustFence an older claim has no end, and no file of this writer stands or waits in its way
 */
export function firstFile(proven: boolean, mustFence: boolean): FirstFile {
  if (!proven) return 'base'
  return mustFence ? 'fence' : 'none'
}

/** Whom to ask before a write, and before a write counts, `elapsedMs` after the claim was last known to be current. */
export function question(elapsedMs: number): 'none' | 'next' | 'all' {
  if (elapsedMs <= FRESH_MS) return 'none'
  return elapsedMs <= LONG_MS ? 'next' : 'all'
}

/**
 * First slot that the writer of an ended epoch may have been about to take when `slot` was taken
 * from it: exactly that one if its own file stands right before, else some more.
 *
 * @param before epoch of the file in the slot before; `undefined` if that is not known
 */
export function firstStaleSlot(epoch: number, before: number | undefined, slot: TXID): TXID {
  if (before === epoch) return slot
  return earliest(slot)
}

function earliest(slot: TXID): TXID {
  return (slot > UNKNOWN_SLOTS ? slot - UNKNOWN_SLOTS : 1n) as TXID
}

/**
 * Slots whose level-0 files must stay although they are superseded: a writer that was paused before
 * the take-over and wakes now would find them free, and write there.
 *
 * @param now in milliseconds
 */
export function protectedSlotsOf(ends: readonly EndRecord[], now: number): TXID[] {
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
 * Objects of epochs that are over and forgotten, by the store's own clock, of which `storeNow` is the
 * latest time that it told: older than 30 days, or older than a day where a process that starts
 * again and again has left a thousand newer ones. Never those of the newest three epochs, nor of
 * one without an end.
 */
export function forgottenOf(objects: readonly EpochObject[], storeNow: Date): EpochObject[] {
  const { open } = standingOf(objects)
  const youngest = new Map<number, number>()
  for (const { epoch, lastModified } of objects) {
    const age = storeNow.getTime() - lastModified.getTime()
    youngest.set(epoch, Math.min(age, youngest.get(epoch) ?? age))
  }
  const isOver = new Set(
    [...youngest]
      .sort(([a], [b]) => b - a)
      .filter(([, age], rank) => rank >= KEPT && age > (rank < MANY ? OLD_MS : LONG_MS))
      .map(([epoch]) => epoch),
  )
  for (const epoch of open) isOver.delete(epoch)
  return objects.filter(({ epoch }) => isOver.has(epoch))
}
