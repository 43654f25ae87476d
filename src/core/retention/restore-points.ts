import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import { byEnd } from '../restore/reachable-states.ts'
import { type ChainStep, cheapestSteps } from '../restore/restore-plan.ts'

/** A restore point, with what retention needs to know to keep it or let it expire. */
export interface RetentionPoint {
  readonly txid: TXID
  /** Files that end with the TXID, by level and then by first TXID. */
  readonly files: readonly [LtxFileInfo, ...LtxFileInfo[]]
  /** In milliseconds: the time of the file of the lowest level, which was written first. */
  readonly time: number
  /** Highest level of a file that ends here: that file preserves the point when lower levels are deleted. */
  readonly level: number
  /**
   * Highest level at whose granularity the point exists: infinite if no file of a higher level holds
   * this TXID together with later ones.
   */
  readonly granularity: number
  /** Last step of the chain by which a restore reaches it. */
  readonly step: ChainStep
}

/** All states that a restore can reach with these files, by ascending TXID. */
export function findRestorePoints(files: readonly LtxFileInfo[]): RetentionPoint[] {
  const ends = new Map(byEnd(files).map((group) => [group[0]?.maxTxid as TXID, group]))
  const firstTxids = new Map<number, TXID>()
  const points: RetentionPoint[] = []
  // From the end, so that all files that end after a point have been seen before it.
  for (const step of cheapestSteps(files).reverse()) {
    const txid = step.file.maxTxid
    const group = (ends.get(txid) as LtxFileInfo[]).sort(byLevel)
    const [lowest] = group as [LtxFileInfo]
    const level = (group.at(-1) as LtxFileInfo).level
    points.push({
      txid,
      files: group as [LtxFileInfo, ...LtxFileInfo[]],
      time: fileTime(lowest),
      level,
      granularity: granularityAt(txid, level, firstTxids),
      step,
    })
    for (const file of group) {
      const first = firstTxids.get(file.level)
      if (first === undefined || file.minTxid < first) firstTxids.set(file.level, file.minTxid)
    }
  }
  return points.reverse()
}

/** Time of a file's last transaction in milliseconds; the store's own time where it lists no other. */
export function fileTime(file: LtxFileInfo): number {
  return (file.createdAt ?? file.lastModified).getTime()
}

/** @param firstTxids for each level, the lowest TXID in a file that ends after the point */
function granularityAt(txid: TXID, level: number, firstTxids: ReadonlyMap<number, TXID>): number {
  for (let coarser = level + 1; coarser < SNAPSHOT_LEVEL; coarser++) {
    const first = firstTxids.get(coarser)
    if (first !== undefined && first <= txid) return coarser - 1
  }
  return Number.POSITIVE_INFINITY
}

function byLevel(a: LtxFileInfo, b: LtxFileInfo): number {
  if (a.level !== b.level) return a.level - b.level
  return a.minTxid < b.minTxid ? -1 : 1
}
