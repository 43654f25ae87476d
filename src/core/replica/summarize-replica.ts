import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from './replica-client.ts'
import { SNAPSHOT_LEVEL } from './replica-layout.ts'

/** TXIDs from `from` to `to`, both included. */
export interface TxidRange {
  readonly from: TXID
  readonly to: TXID
}

/** What a listing says about one database's replica. */
export interface ReplicaSummary {
  readonly files: number
  /** Full snapshots on level 9. */
  readonly snapshots: number
  /** Sum of all files' sizes, in bytes. */
  readonly bytes: number
  /** Last TXID that any file holds; `undefined` for no file. */
  readonly newestTxid: TXID | undefined
  /** Time of `newestTxid`: its `createdAt`, or the store's own time where that is not listed. */
  readonly newestAt: Date | undefined
  /**
   * First and last TXID that a restore can reach; `undefined` if no file starts at TXID 1. Between
   * them a TXID can be restored exactly only if a file ends with it.
   */
  readonly restorable: TxidRange | undefined
  /** TXIDs that no file holds, so that nothing after them can be restored. */
  readonly gaps: readonly TxidRange[]
}

/** Sums up a replica from its listing alone; the files are not read, so damage does not show. */
export function summarizeReplica(files: readonly LtxFileInfo[]): ReplicaSummary {
  const newest = files.reduce<LtxFileInfo | undefined>(newerOf, undefined)
  return {
    files: files.length,
    snapshots: files.filter((file) => file.level === SNAPSHOT_LEVEL && file.minTxid === 1n).length,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    newestTxid: newest?.maxTxid,
    newestAt: newest === undefined ? undefined : (newest.createdAt ?? newest.lastModified),
    ...coverage(files),
  }
}

function coverage(files: readonly LtxFileInfo[]): Pick<ReplicaSummary, 'restorable' | 'gaps'> {
  const sorted = files.toSorted((a, b) => Number(a.minTxid - b.minTxid))
  const gaps: TxidRange[] = []
  let restorable: TxidRange | undefined
  let covered = 0n
  for (const { minTxid, maxTxid } of sorted) {
    if (minTxid > covered + 1n)
      gaps.push({ from: (covered + 1n) as TXID, to: (minTxid - 1n) as TXID })
    if (maxTxid > covered) covered = maxTxid
    if (gaps.length > 0) continue
    const from = minTxid === 1n && (!restorable || maxTxid < restorable.from) ? maxTxid : undefined
    restorable = { from: from ?? restorable?.from ?? maxTxid, to: covered as TXID }
  }
  return { restorable, gaps }
}

/**
 * Several files may end at the newest TXID; the one of the lowest level was stored first and has
 * its time.
 */
function newerOf(best: LtxFileInfo | undefined, file: LtxFileInfo): LtxFileInfo {
  if (best === undefined || file.maxTxid > best.maxTxid) return file
  return file.maxTxid === best.maxTxid && file.level < best.level ? file : best
}
