import type { LtxFileInfo } from '../replica/replica-client.ts'
import { reach } from '../restore/reachable-states.ts'
import type { ChainStep } from '../restore/restore-plan.ts'
import { periodOf, periodRules } from './periods.ts'
import { fileTime, type RestorablePoint } from './restore-points.ts'
import type { RetentionPolicy } from './retention-policy.ts'

/**
 * The files that the wanted points need: for each the chain by which it is restored now, and a file
 * of its own highest level, since that is what tells a snapshot or a coarse point from a fine one at
 * the next look. Always the newest level-0 file, which says where in the WAL replication goes on.
 */
export function neededFiles(
  files: readonly LtxFileInfo[],
  wanted: Iterable<RestorablePoint>,
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
 * Keeps, beside what is kept anyway, the files that a point has its time from, where the files that
 * stay would tell an older time, one in another of the policy's periods, or one on the other side of
 * its window's beginning: else the next look would choose other points, and one by one they would be
 * lost.
 */
export function stabilizeTimes(
  listing: readonly LtxFileInfo[],
  points: readonly RestorablePoint[],
  keep: Set<LtxFileInfo>,
  policy: RetentionPolicy,
  now: number,
): void {
  const kinds = periodRules(policy).map(({ kind }) => kind)
  const windowStart = now - (policy.keepForMs ?? Number.POSITIVE_INFINITY)
  const left = new Set(reach(listing.filter((file) => keep.has(file))))
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
