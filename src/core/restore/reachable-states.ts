import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import type { RestorePoint } from './restore-error.ts'

/**
 * The last state up to `limit` (default: the end) that the files can restore; `undefined` if there
 * is none.
 */
export function restorableTo(
  files: readonly LtxFileInfo[],
  limit?: TXID | undefined,
): RestorePoint | undefined {
  const reached = reachableTxids(files, limit).at(-1)
  return reached === undefined ? undefined : { txid: reached, time: timeOf(files, reached) }
}

/**
 * Time of the state of a TXID: the earliest `createdAt` of the files that end with it, since a
 * snapshot is stored later.
 */
export function timeOf(files: readonly LtxFileInfo[], txid: TXID): Date | undefined {
  let earliest: Date | undefined
  for (const { maxTxid, createdAt } of files) {
    if (maxTxid !== txid || createdAt === undefined) continue
    if (earliest === undefined || createdAt < earliest) earliest = createdAt
  }
  return earliest
}

/**
 * Ascending TXIDs of the states that the files can restore: those where a chain from TXID 1 ends.
 */
export function reachableTxids(files: readonly LtxFileInfo[], limit?: TXID | undefined): TXID[] {
  const reached: TXID[] = []
  for (const group of byEnd(files.filter((file) => limit === undefined || file.maxTxid <= limit))) {
    const end = group[0]?.maxTxid as TXID
    // Within [minTxid - 1, end) the last reached TXID decides: if it is too low, all are.
    const last = reached.at(-1) ?? 0n
    if (group.some((file) => file.minTxid === 1n || last >= file.minTxid - 1n)) reached.push(end)
  }
  return reached
}

/** Files that end with the same TXID, by ascending TXID. */
export function byEnd(files: readonly LtxFileInfo[]): LtxFileInfo[][] {
  const groups = Map.groupBy(files, (file) => file.maxTxid)
  return [...groups.values()].sort((a, b) =>
    (a[0] as LtxFileInfo).maxTxid < (b[0] as LtxFileInfo).maxTxid ? -1 : 1,
  )
}

/** Highest TXID in any file; 0 if there are no files. */
export function lastTxid(files: readonly LtxFileInfo[]): TXID {
  let last = 0n as TXID
  for (const { maxTxid } of files) if (maxTxid > last) last = maxTxid
  return last
}
