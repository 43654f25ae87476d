import type { LtxFileInfo } from '../replica/replica-client.ts'

/**
 * Files that are kept for restores that use an older listing: those younger than the minimum age,
 * and those that share transactions with such a file, which may have superseded them. The
 * transactions of a young full copy do not show what it supersedes: see `listingsInGrace`.
 */
export function filesInGrace(
  files: readonly LtxFileInfo[],
  minObjectAgeMs: number,
  now: number,
): LtxFileInfo[] {
  const young = files.filter((file) => isYoung(file, minObjectAgeMs, now))
  const ranges = mergedRanges(young.filter((file) => !isFull(file)))
  return files.filter((file) => isYoung(file, minObjectAgeMs, now) || overlaps(ranges, file))
}

/** The listings that a restore may use that started before one of the young full copies was stored; each includes the previous one. */
export function listingsInGrace(
  files: readonly LtxFileInfo[],
  minObjectAgeMs: number,
  now: number,
): LtxFileInfo[][] {
  const full = files.filter((file) => isFull(file) && isYoung(file, minObjectAgeMs, now))
  const times = new Set(full.map((file) => file.lastModified.getTime()))
  return [...times]
    .sort((a, b) => a - b)
    .map((time) => files.filter((file) => file.lastModified.getTime() < time))
}

/** When the next of these files reaches the minimum age, in milliseconds. */
export function nextGraceEnd(
  files: readonly LtxFileInfo[],
  minObjectAgeMs: number,
  now: number,
): number | undefined {
  let next: number | undefined
  for (const file of files) {
    if (!isYoung(file, minObjectAgeMs, now)) continue
    const end = file.lastModified.getTime() + minObjectAgeMs
    if (next === undefined || end < next) next = end
  }
  return next
}

/** Whether the file holds a whole database, so that a restore needs no file before it. */
export function isFull(file: LtxFileInfo): boolean {
  return file.minTxid === 1n
}

function isYoung(file: LtxFileInfo, minObjectAgeMs: number, now: number): boolean {
  return now - file.lastModified.getTime() < minObjectAgeMs
}

interface Range {
  readonly from: bigint
  to: bigint
}

/** Disjoint ranges of TXIDs, ascending. */
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
