import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { summarizeReplica } from '../replica/summarize-replica.ts'
import { lastTxid, reachableTxids } from '../restore/reachable-states.ts'
import type { ChainStep } from '../restore/restore-plan.ts'
import { filesInGrace, listingsInGrace, nextGraceEnd } from './grace-period.ts'
import { fileTime, findRestorePoints, type RetentionPoint } from './restore-points.ts'
import { periodOf, periodRules, type RetentionPolicy } from './retention-policy.ts'
import { type KeepReason, nextExpiry, wantedPoints } from './wanted-points.ts'

export interface RetentionOptions {
  /** TXIDs whose level-0 files are kept: a paused writer would find the slots free and write there. */
  readonly protectedSlots?: readonly TXID[] | undefined
  /** Keys of objects known to be damaged: states that need one do not count, and files that only they connect are kept. */
  readonly damaged?: ReadonlySet<string> | undefined
}

/** A state that can still be restored after the plan was carried out. */
export interface KeptPoint {
  readonly txid: TXID
  /** In milliseconds. */
  readonly time: number
  /** Empty if no rule asks for it: other points need its files, or they are still too young to be deleted. */
  readonly why: readonly KeepReason[]
}

/**
 * Why nothing may be deleted: the newest state cannot be restored. `gap`: no file holds some of the
 * TXIDs. `damaged`: it needs objects that are damaged.
 */
export type RetentionBlock = 'gap' | 'damaged'

/** Which files of a replica are kept and which are deleted. A value: planning reads and deletes nothing. */
export interface RetentionPlan {
  readonly keep: readonly LtxFileInfo[]
  readonly remove: readonly LtxFileInfo[]
  /** By ascending TXID. */
  readonly restorePoints: readonly KeptPoint[]
  readonly blocked: RetentionBlock | undefined
  /**
   * When more files can become removable by the passing of time alone, in milliseconds; `undefined`
   * if none will until the replica changes.
   */
  readonly nextAt: number | undefined
}

/**
 * Decides which files of a replica are deleted. After any part of `remove` was deleted, in any order,
 * every wanted restore point can be restored from the remaining files, by the same chain as now.
 * Planning again on the remaining files removes nothing more at the same `now`.
 *
 * @param files a complete listing
 * @param now in milliseconds, by the clock of `lastModified`
 */
export function planRetention(
  files: readonly LtxFileInfo[],
  policy: RetentionPolicy,
  now: number,
  options: RetentionOptions = {},
): RetentionPlan {
  const { damaged = new Set<string>(), protectedSlots = [] } = options
  const sound = files.filter((file) => !damaged.has(file.key))
  const points = findRestorePoints(sound)
  const blocked = blockOf(files, points)
  if (blocked !== undefined) {
    const kept = points.map(({ txid, time }) => ({ txid, time, why: [] }))
    return { keep: files, remove: [], restorePoints: kept, blocked, nextAt: undefined }
  }
  const slots = new Set<bigint>(protectedSlots)
  const wanted = wantedPoints(points, policy, now)
  const keep = neededFiles(sound, wanted.keys())
  const earlier = listingsInGrace(sound, policy.minObjectAgeMs, now).map((listing) => ({
    listing,
    points: findRestorePoints(listing),
  }))
  for (const { listing, points } of earlier) {
    const needed = neededFiles(listing, wantedPoints(points, policy, now).keys())
    for (const file of needed) keep.add(file)
  }
  for (const file of filesInGrace(files, policy.minObjectAgeMs, now)) keep.add(file)
  for (const file of files) if (file.level === 0 && slots.has(file.maxTxid)) keep.add(file)
  if (damaged.size > 0) for (const file of cutOff(files, points)) keep.add(file)
  for (const { listing, points } of earlier) stabilizeTimes(listing, points, keep, policy, now)
  stabilizeTimes(sound, points, keep, policy, now)
  const kept = files.filter((file) => keep.has(file))
  const left = findRestorePoints(kept)
  const expiries = [left, ...earlier.map(({ points }) => points)].map((points) =>
    nextExpiry(points, policy, now),
  )
  return {
    keep: kept,
    remove: files.filter((file) => !keep.has(file)),
    restorePoints: keptPoints(left, wanted),
    blocked: undefined,
    nextAt: earliest([...expiries, nextGraceEnd(kept, policy.minObjectAgeMs, now)]),
  }
}

/** Without a gap, a chain always reaches the last TXID, unless it needs a damaged object. */
function blockOf(
  files: readonly LtxFileInfo[],
  points: readonly RetentionPoint[],
): RetentionBlock | undefined {
  if (summarizeReplica(files).gaps.length > 0) return 'gap'
  const reached = points.at(-1)?.txid ?? 0n
  return reached === lastTxid(files) ? undefined : 'damaged'
}

/** Files that end where no chain of sound files ends, including the damaged ones: they are evidence, and may become useful again. */
function cutOff(files: readonly LtxFileInfo[], points: readonly RetentionPoint[]): LtxFileInfo[] {
  const reached = new Set(points.flatMap((point) => point.files))
  return files.filter((file) => !reached.has(file))
}

function keptPoints(
  left: readonly RetentionPoint[],
  wanted: ReadonlyMap<RetentionPoint, readonly KeepReason[]>,
): KeptPoint[] {
  const reasons = new Map([...wanted].map(([{ txid }, why]) => [txid, why]))
  return left.map(({ txid, time }) => ({ txid, time, why: reasons.get(txid) ?? [] }))
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/**
 * The files that the wanted restore points need: for each one the chain that restores it now, and a
 * file of its highest level, since that is what distinguishes a snapshot or a coarse point from a
 * fine one the next time. Always includes the newest level-0 file, which says where in the WAL
 * replication continues.
 */
function neededFiles(
  files: readonly LtxFileInfo[],
  wanted: Iterable<RetentionPoint>,
): Set<LtxFileInfo> {
  const needed = new Set<LtxFileInfo>()
  const newest = newestOfLevel0(files)
  if (newest !== undefined) needed.add(newest)
  const walked = new Set<ChainStep>()
  for (const { step, files } of wanted) {
    for (let at: ChainStep | undefined = step; at && !walked.has(at); at = at.previous) {
      walked.add(at)
      needed.add(at.file)
    }
    const { level } = files.at(-1) as LtxFileInfo
    needed.add(files.find((file) => file.level === level) as LtxFileInfo)
  }
  return needed
}

function newestOfLevel0(files: readonly LtxFileInfo[]): LtxFileInfo | undefined {
  let newest: LtxFileInfo | undefined
  for (const file of files) {
    if (file.level === 0 && (newest === undefined || file.maxTxid > newest.maxTxid)) newest = file
  }
  return newest
}

/**
 * Also keeps the file that a restore point has its time from, if without it the point's time would be
 * earlier, in another period of the policy, or on the other side of the window's start. Otherwise the
 * next plan would choose other points, and the points would be lost one by one.
 */
function stabilizeTimes(
  listing: readonly LtxFileInfo[],
  points: readonly RetentionPoint[],
  keep: Set<LtxFileInfo>,
  policy: RetentionPolicy,
  now: number,
): void {
  const kinds = periodRules(policy).map(({ kind }) => kind)
  const windowStart = now - (policy.keepForMs ?? Number.POSITIVE_INFINITY)
  const left = new Set(reachableTxids(listing.filter((file) => keep.has(file))))
  for (const { txid, files, time } of points) {
    const lowest = files.find((file) => keep.has(file))
    if (lowest === undefined || !left.has(txid)) continue
    const later = fileTime(lowest)
    const stable =
      later >= time &&
      later <= windowStart === time <= windowStart &&
      kinds.every((kind) => periodOf(kind, later) === periodOf(kind, time))
    if (!stable) keep.add(files[0])
  }
}
