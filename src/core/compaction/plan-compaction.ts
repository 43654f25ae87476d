import type { TXID } from '../ltx/index.ts'
import type { LtxFileInfo } from '../replica/replica-client.ts'
import { SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import { isFull } from '../retention/grace-period.ts'
import { fileTime } from '../retention/restore-points.ts'

/** Highest level that compaction fills; the one above is that of snapshots. */
export const MAX_LEVEL = SNAPSHOT_LEVEL - 1

/** Files that one merge reads at a time, by default: each costs memory while the merge runs. */
export const MAX_MERGE_INPUTS = 64

export interface CompactionOptions {
  /** Of the level, in milliseconds. Intervals begin at multiples of it since 1970, as in Litestream. */
  readonly intervalMs: number
  /** In milliseconds. */
  readonly now: number
  /** The most that one merge reads; more become several files. Default 64. */
  readonly maxInputs?: number | undefined
}

/** Files to be merged into one of a higher level. */
export interface CompactionStep {
  readonly level: number
  /** At least two, oldest first, without a gap. */
  readonly files: readonly LtxFileInfo[]
  readonly minTxid: TXID
  readonly maxTxid: TXID
  /** Sum of the files' sizes: what the merge reads. */
  readonly bytes: number
  /** When the interval of these files is over and nothing more can belong to them, in milliseconds. */
  readonly dueAt: number
}

/**
 * What is to be merged into one level, oldest first: the transactions behind the newest file of
 * that level and those above, as few files of the levels below as hold them, those of one interval
 * into one file. So each file of the level ends where its interval ended, however late it is made.
 *
 * A file that is alone in its interval is left for a higher level: a copy would gain nothing. Full
 * copies of the database are never merged, for the same reason. Nothing is merged across a gap; what
 * comes behind it is.
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
    // By a clock that was set back an interval may not have begun: no file is awaited for it then.
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
 * Files of lower levels that hold what comes behind the level's newest file, each reaching further
 * than the one before. Where one starts exactly behind its predecessor, the longest of these; else
 * the one that reaches furthest of those that overlap it (two compactions at one time leave such);
 * else what comes after the gap.
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

/** The one that reaches further; of two that reach as far, the smaller one. */
function better(best: LtxFileInfo | undefined, file: LtxFileInfo): LtxFileInfo {
  if (best === undefined || file.maxTxid > best.maxTxid) return file
  return file.maxTxid === best.maxTxid && file.size < best.size ? file : best
}

/** What is to be merged into one level. */
export interface LevelPlan {
  readonly level: number
  /** Those whose interval is over. */
  readonly due: readonly CompactionStep[]
  readonly later: readonly CompactionStep[]
}

/**
 * What there is to merge in all levels, each going by what the levels below will have made by then.
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

/** The file that a merge makes, as far as that can be told before: it is no larger than its inputs. */
function resultOf({ level, files, minTxid, maxTxid, bytes }: CompactionStep): LtxFileInfo {
  return { ...(files.at(-1) as LtxFileInfo), level, minTxid, maxTxid, size: bytes }
}
