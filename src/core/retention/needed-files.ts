import type { LtxFileInfo } from '../replica/replica-client.ts'
import { reachableTxids } from '../restore/reachable-states.ts'
import type { ChainStep } from '../restore/restore-plan.ts'
import { fileTime, type RetentionPoint } from './restore-points.ts'
import type { RetentionPolicy } from './retention-policy.ts'
import { periodOf, periodRules } from './retention-policy.ts'

/**
 * The files that the wanted restore points need: for each one the chain that restores it now, and a
 * file of its highest level, since that is what distinguishes a snapshot or a coarse point from a
 * fine one the next time. Always includes the newest level-0 file, which says where in the WAL
 * replication continues.
 */
export function neededFiles(
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
export function stabilizeTimes(
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
