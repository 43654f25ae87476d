import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { MAX_LEVEL } from '../replica/replica-layout.ts'
import { isFull } from '../retention/grace-period.ts'
import { fileTime } from '../retention/restore-points.ts'

/** Files that one merge reads at a time, by default: each costs memory while the merge runs. */
export const MAX_MERGE_INPUTS = 64

export interface CompactionOptions {
  /** Of the level, in milliseconds. Intervals begin at multiples of it since 1970, as in Litestream. */
  readonly intervalMs: number
  /** In milliseconds. */
  readonly now: number
  /** Most files that one merge reads; more are merged into several files. Default 64. */
  readonly maxInputs?: number | undefined
}

/** Files to be merged into one of a higher level. */
export interface CompactionStep {
  readonly level: number
  /** At least two, oldest first, without a gap. */
  readonly files: readonly LtxFileInfo[]
  readonly minTxid: TXID
  readonly maxTxid: TXID
  /** Sum of the files' sizes, which is how much the merge reads. */
  readonly bytes: number
  /** When the interval of these files is over and nothing more can belong to them, in milliseconds. */
  readonly dueAt: number
}

/**
 * What to merge into one level, oldest first: the transactions after the newest file of that level
 * and those above, from as few files of the lower levels as possible, and one file for each
 * interval. So each file of the level ends where its interval ended, however late it is made.
 *
 * A file that is alone in its interval is left for a higher level, because a copy would gain
 * nothing. Full copies of the database are never merged, for the same reason. Nothing is merged
 * across a gap, but files after it are.
 *
 * @param level 1 to 8
 */
export function planCompaction(
  files: readonly LtxFileInfo[],
  level: number,
  options: CompactionOptions,
): CompactionStep[] {
  if (!Number.isInteger(level) || level < 1 || level > MAX_LEVEL) {
    throw new RangeError(
      `Expected \`level\` to be an integer from 1 to ${MAX_LEVEL}, got ${level}.`,
    )
  }
  const { intervalMs, now, maxInputs = MAX_MERGE_INPUTS } = options
  const groups: Group[] = []
  let reached: bigint | undefined
  for (const file of coverBehind(files, level)) {
    const interval = Math.floor(fileTime(file) / intervalMs)
    const group = groups.at(-1)
    const continues = reached !== undefined && file.minTxid <= reached + 1n
    if (continues && group?.interval === interval && group.files.length < maxInputs) {
      group.files.push(file)
    } else groups.push({ interval, files: [file] })
    reached = file.maxTxid
  }
  return groups.flatMap(({ interval, files }, index) => {
    if (files.length < 2) return []
    const begins = interval * intervalMs
    // If the clock was set back, an interval may not have begun yet; then no file is expected for
    // it.
    const open = index === groups.length - 1 && begins <= now
    const dueAt = open ? begins + intervalMs : Math.min(begins + intervalMs, now)
    return [stepOf(level, files, dueAt)]
  })
}

interface Group {
  readonly interval: number
  readonly files: LtxFileInfo[]
}

function stepOf(level: number, files: readonly LtxFileInfo[], dueAt: number): CompactionStep {
  return {
    level,
    files,
    minTxid: (files[0] as LtxFileInfo).minTxid,
    maxTxid: (files.at(-1) as LtxFileInfo).maxTxid,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
    dueAt,
  }
}

/**
 * Files of lower levels with the transactions after the level's newest file, each reaching further
 * than the one before. Prefers the longest file that starts right after its predecessor; otherwise
 * the one that reaches furthest of those that overlap it (concurrent compactions leave such files);
 * otherwise the one after the gap.
 */
function* coverBehind(files: readonly LtxFileInfo[], level: number): Generator<LtxFileInfo> {
  const sources = files
    .filter((file) => file.level < level && !isFull(file))
    .sort((a, b) => (a.minTxid < b.minTxid ? -1 : a.minTxid > b.minTxid ? 1 : 0))
  let reached = lastTxidAbove(files, level)
  let furthest: LtxFileInfo | undefined
  let at = 0
  for (;;) {
    let exact: LtxFileInfo | undefined
    for (; at < sources.length; at++) {
      const file = sources[at] as LtxFileInfo
      if (file.minTxid > reached + 1n) break
      if (file.minTxid === reached + 1n) exact = better(exact, file)
      furthest = better(furthest, file)
    }
    const next = exact ?? furthest
    if (next !== undefined && next.maxTxid > reached) {
      yield next
      reached = next.maxTxid
    } else if (at < sources.length) reached = ((sources[at] as LtxFileInfo).minTxid - 1n) as TXID
    else return
  }
}

function lastTxidAbove(files: readonly LtxFileInfo[], level: number): bigint {
  let last = 0n
  for (const file of files) {
    if (file.level >= level && file.level <= MAX_LEVEL && file.maxTxid > last) last = file.maxTxid
  }
  return last
}

/** The one that reaches further; if they reach equally far, the smaller one. */
function better(best: LtxFileInfo | undefined, file: LtxFileInfo): LtxFileInfo {
  if (best === undefined || file.maxTxid > best.maxTxid) return file
  return file.maxTxid === best.maxTxid && file.size < best.size ? file : best
}

/** What is to be merged into one level. */
export interface LevelPlan {
  readonly level: number
  /** Merges whose interval is over. */
  readonly due: readonly CompactionStep[]
  readonly later: readonly CompactionStep[]
}

/**
 * What to merge in all levels; each level takes into account what the lower levels will have
 * produced.
 *
 * @param intervals of the levels 1, 2, 3 …, in milliseconds
 * @param now in milliseconds
 */
export function planLevels(
  files: readonly LtxFileInfo[],
  intervals: readonly number[],
  now: number,
): LevelPlan[] {
  const known = [...files]
  return intervals.map((intervalMs, i) => {
    const level = i + 1
    const steps = planCompaction(known, level, { intervalMs, now })
    const due = steps.filter(({ dueAt }) => dueAt <= now)
    known.push(...due.map(resultOf))
    return { level, due, later: steps.filter(({ dueAt }) => dueAt > now) }
  })
}

/**
 * The file that a merge will create, as far as that is known in advance: it is no larger than its
 * inputs.
 */
function resultOf({ level, files, minTxid, maxTxid, bytes }: CompactionStep): LtxFileInfo {
  return { ...(files.at(-1) as LtxFileInfo), level, minTxid, maxTxid, size: bytes }
}
