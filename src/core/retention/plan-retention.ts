import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { summarizeReplica } from '../replica/summarize-replica.ts'
import { lastTxid } from '../restore/reachable-states.ts'
import { filesInGrace, listingsInGrace, nextEndOfGrace } from './grace-period.ts'
import { neededFiles, stabilizeTimes } from './needed-files.ts'
import { type RestorablePoint, restorablePoints } from './restore-points.ts'
import type { RetentionPolicy } from './retention-policy.ts'
import { type KeepReason, nextExpiry, wantedPoints } from './wanted-points.ts'

export interface RetentionOptions {
  /** TXIDs whose level-0 files must stay: a paused writer would find the slots free and write there. */
  readonly protectedSlots?: readonly TXID[] | undefined
  /** Keys of objects known to be damaged: no state counts that needs one, and nothing that only they connect is deleted. */
  readonly damaged?: ReadonlySet<string> | undefined
}

/** A state that can be restored when the plan was carried out. */
export interface KeptPoint {
  readonly txid: TXID
  /** In milliseconds. */
  readonly time: number
  /** Empty for one that no rule asks for: others need its files, or it is still in its grace period. */
  readonly why: readonly KeepReason[]
}

/**
 * Why nothing at all may be deleted: the newest state cannot be restored. `gap`: there are TXIDs that
 * no file holds. `damaged`: it takes objects that are damaged.
 */
export type RetentionBlock = 'gap' | 'damaged'

/** What stays of a replica and what goes. A value: planning reads and deletes nothing. */
export interface RetentionPlan {
  readonly keep: readonly LtxFileInfo[]
  readonly remove: readonly LtxFileInfo[]
  /** By ascending TXID. */
  readonly points: readonly KeptPoint[]
  readonly blocked: RetentionBlock | undefined
  /**
   * When the passing of time alone can make more removable, in milliseconds; `undefined`: never,
   * until the replica changes.
   */
  readonly nextAt: number | undefined
}

/**
 * Decides which files of a replica go. Whatever part of `remove` is deleted, in any order, every
 * wanted point can be restored from what is left, by the very files that a restore would choose
 * now. Planning again on what is left removes nothing more at the same `now`.
 *
 * @param files a complete listing
 * @param now in milliseconds, by the clock that `lastModified` goes by
 */
export function planRetention(
  files: readonly LtxFileInfo[],
  policy: RetentionPolicy,
  now: number,
  options: RetentionOptions = {},
): RetentionPlan {
  const { damaged = new Set<string>(), protectedSlots = [] } = options
  const sound = files.filter((file) => !damaged.has(file.key))
  const points = restorablePoints(sound)
  const blocked = blockOf(files, points)
  if (blocked !== undefined) {
    const kept = points.map(({ txid, time }) => ({ txid, time, why: [] }))
    return { keep: files, remove: [], points: kept, blocked, nextAt: undefined }
  }
  const slots = new Set<bigint>(protectedSlots)
  const wanted = wantedPoints(points, policy, now)
  const keep = neededFiles(sound, wanted.keys())
  const earlier = listingsInGrace(sound, policy.graceMs, now).map((listing) => ({
    listing,
    points: restorablePoints(listing),
  }))
  for (const { listing, points } of earlier) {
    const needed = neededFiles(listing, wantedPoints(points, policy, now).keys())
    for (const file of needed) keep.add(file)
  }
  for (const file of filesInGrace(files, policy.graceMs, now)) keep.add(file)
  for (const file of files) if (file.level === 0 && slots.has(file.maxTxid)) keep.add(file)
  if (damaged.size > 0) for (const file of cutOff(files, points)) keep.add(file)
  for (const { listing, points } of earlier) stabilizeTimes(listing, points, keep, policy, now)
  stabilizeTimes(sound, points, keep, policy, now)
  const kept = files.filter((file) => keep.has(file))
  const left = restorablePoints(kept)
  const expiries = [left, ...earlier.map(({ points }) => points)].map((points) =>
    nextExpiry(points, policy, now),
  )
  return {
    keep: kept,
    remove: files.filter((file) => !keep.has(file)),
    points: keptPoints(left, wanted),
    blocked: undefined,
    nextAt: earliest([...expiries, nextEndOfGrace(kept, policy.graceMs, now)]),
  }
}

/** Without a gap some chain always reaches the last TXID, unless one of its objects does not count. */
function blockOf(
  files: readonly LtxFileInfo[],
  points: readonly RestorablePoint[],
): RetentionBlock | undefined {
  if (summarizeReplica(files).gaps.length > 0) return 'gap'
  const reached = points.at(-1)?.txid ?? 0n
  return reached === lastTxid(files) ? undefined : 'damaged'
}

/** Files that end where no chain of sound files does, the damaged ones among them: evidence, and perhaps of use again. */
function cutOff(files: readonly LtxFileInfo[], points: readonly RestorablePoint[]): LtxFileInfo[] {
  const reached = new Set(points.flatMap((point) => point.files))
  return files.filter((file) => !reached.has(file))
}

function keptPoints(
  left: readonly RestorablePoint[],
  wanted: ReadonlyMap<RestorablePoint, readonly KeepReason[]>,
): KeptPoint[] {
  const reasons = new Map([...wanted].map(([{ txid }, why]) => [txid, why]))
  return left.map(({ txid, time }) => ({ txid, time, why: reasons.get(txid) ?? [] }))
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}
