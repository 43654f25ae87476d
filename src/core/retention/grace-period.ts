import type { LtxFileInfo } from '../replica/replica-client.ts'

/**
 * Files that stay for the sake of restores that are running by an older listing: those that are
 * young themselves, and those that share transactions with a young one, which may have superseded
 * them. What a young full copy supersedes is not told by its transactions: see `listingsInGrace`.
 */
export function filesInGrace(
  files: readonly LtxFileInfo[],
  graceMs: number,
  now: number,
): LtxFileInfo[] {
  const young = files.filter((file) => isYoung(file, graceMs, now))
  const ranges = mergedRanges(young.filter((file) => !isFull(file)))
  return files.filter((file) => isYoung(file, graceMs, now) || overlaps(ranges, file))
}

/** The listings that a restore may go by which began before one of the young full copies was there; each holds the one before. */
export function listingsInGrace(
  files: readonly LtxFileInfo[],
  graceMs: number,
  now: number,
): LtxFileInfo[][] {
  const full = files.filter((file) => isFull(file) && isYoung(file, graceMs, now))
  const times = new Set(full.map((file) => file.lastModified.getTime()))
  return [...times]
    .sort((a, b) => a - b)
    .map((time) => files.filter((file) => file.lastModified.getTime() < time))
}

/** When the next of these files is no longer young, in milliseconds. */
export function nextEndOfGrace(
  files: readonly LtxFileInfo[],
  graceMs: number,
  now: number,
): number | undefined {
  let next: number | undefined
  for (const file of files) {
    if (!isYoung(file, graceMs, now)) continue
    const end = file.lastModified.getTime() + graceMs
    if (next === undefined || end < next) next = end
  }
  return next
}

/** Does the file hold a whole database, so that a restore needs none before it? */
export function isFull(file: LtxFileInfo): boolean {
  return file.minTxid === 1n
}

function isYoung(file: LtxFileInfo, graceMs: number, now: number): boolean {
  return now - file.lastModified.getTime() < graceMs
}

interface Range {
  readonly from: bigint
  to: bigint
}

/** Ranges of TXIDs that do not touch, ascending. */
function mergedRanges(files: readonly LtxFileInfo[]): Range[] {
  const ranges: Range[] = []
  for (const { minTxid, maxTxid } of files.toSorted((a, b) => (a.minTxid < b.minTxid ? -1 : 1))) {
    const last = ranges.at(-1)
    if (last === undefined || minTxid > last.to) ranges.push({ from: minTxid, to: maxTxid })
    else if (maxTxid > last.to) last.to = maxTxid
  }
  return ranges
}

function overlaps(ranges: readonly Range[], { minTxid, maxTxid }: LtxFileInfo): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[middle] as Range).to < minTxid) low = middle + 1
    else high = middle
  }
  const range = ranges[low]
  return range !== undefined && range.from <= maxTxid
}
