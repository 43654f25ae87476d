import { lockPage } from '../core/ltx/index.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import { firstUpload, follows, type WalHistory } from './wal-history.ts'
import { type AppliedRun, runUntil, sizeAfter } from './wal-run.ts'

/** A snapshot and the runs to replay onto it, each the restart of the one before. */
export interface Replay {
  /** `undefined` if the frames alone contain the whole database. */
  readonly base: LegacySnapshot | undefined
  readonly anchor: Anchor | undefined
  /** At least one, each with at least one commit. */
  readonly runs: readonly AppliedRun[]
  readonly sources: PageSources
}

/**
 * Ways to reach the end of the newest run, then of the one before it, and so on. For each end only
 * those that have all pages: first without a snapshot, then from the newest snapshot on. Runs that
 * cannot be reached are left out: a gap is never bridged.
 *
 * @param snapshots Newest first.
 * @param until The requested time, if any.
 */
export function* replayGroups(
  history: WalHistory,
  snapshots: readonly LegacySnapshot[],
  until: Date | undefined,
): Generator<Replay[], void, void> {
  const { runs } = history
  const applied = runs.map((run) => runUntil(run, until))
  const anchored = snapshots.flatMap((base) => {
    const anchor = anchorOf(history, base)
    return anchor === undefined ? [] : [{ base, anchor }]
  })
  for (let end = runs.length - 1; end >= 0; end--) {
    const last = applied[end] as AppliedRun
    if (last.frames === 0) continue
    const group: Replay[] = []
    const alone = pageSources([last], 0)
    if (alone.allFromLastRun) {
      group.push({ base: undefined, anchor: undefined, runs: [last], sources: alone })
    }
    const first = firstConnected(history, end)
    const bases = anchored.filter(({ anchor: { run } }) => run >= first && run <= end)
    for (const { base, anchor } of bases.slice(0, MAX_BASES)) {
      const path = applied.slice(anchor.run, end + 1).filter(({ frames }) => frames > 0)
      const sources = pageSources(path, Math.floor(base.size / last.run.header.pageSize))
      if (sources.missing === undefined) group.push({ base, anchor, runs: path, sources })
    }
    const all = applied.slice(first, end + 1).filter(({ frames }) => frames > 0)
    if (bases.length === 0 && all.length > 1) {
      const sources = pageSources(all, 0)
      if (sources.missing === undefined) {
        group.push({ base: undefined, anchor: undefined, runs: all, sources })
      }
    }
    if (group.length > 0) yield group
  }
}

/**
 * How many snapshots are tried for one end: the newest needs the shortest replay, and each costs a
 * pass over the frames.
 */
const MAX_BASES = 4

/** The earliest run from which a chain of restarts leads to this one. */
function firstConnected(history: WalHistory, end: number): number {
  const { runs } = history
  let first = end
  for (; first > 0; first--) {
    const [run, next] = runs.slice(first - 1, first + 1)
    if (run === undefined || next === undefined || !follows(history, run, next)) break
  }
  return first
}

/** The run with which a replay onto a snapshot has to begin. */
interface Anchor {
  /** Index of the run in the history. */
  readonly run: number
  /**
   * Had that run begun before the snapshot's upload began? Then the snapshot has everything from
   * before the run, since SQLite restarts a log only when all of it is in the database file.
   */
  readonly certain: boolean
}

/**
 * Where in the log a snapshot belongs: to the last run with frames uploaded before it, because
 * those may not have been in the database file yet. If nothing was uploaded before it, the first
 * run is a guess. `undefined` if the last upload before it belongs to no run.
 */
function anchorOf(
  { runs, segments, chains, places }: WalHistory,
  snapshot: LegacySnapshot,
): Anchor | undefined {
  const begin = snapshot.takenAt.getTime()
  const run = lastBefore(runs, firstUpload, begin)
  const before = segments[lastBefore(segments, ({ uploadedAt }) => uploadedAt.getTime(), begin)]
  if (before === undefined) return runs.length === 0 ? undefined : { run: 0, certain: false }
  const known = chains.get(before)?.some((chain) => places.get(chain)?.run === runs[run])
  return known === true ? { run, certain: true } : undefined
}

/** Index of the last item with an earlier time; -1 for none. Items ascend. */
function lastBefore<T>(items: readonly T[], timeOf: (item: T) => number, time: number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (timeOf(items[middle] as T) < time) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Where each page of a replayed database comes from. */
interface PageSources {
  /** Size of the database, in pages. */
  readonly pages: number
  /**
   * Are all pages frames of the last run? Then the result is exact, whatever came before that run.
   */
  readonly allFromLastRun: boolean
  /** Pages that only the snapshot provides. */
  readonly fromBase: readonly number[]
  /** A page that nothing provides. */
  readonly missing: number | undefined
}

/**
 * Determines where each page comes from when runs are replayed onto a snapshot of `basePages`
 * pages. A version of a page counts if no newer frame has the page and no newer commit shrank the
 * database below it. The lock page is left out.
 */
function pageSources(runs: readonly AppliedRun[], basePages: number): PageSources {
  const last = runs.at(-1) as AppliedRun
  const pages = sizeAfter(last)
  const marks = new Uint8Array(pages + 1)
  let limit = pages
  for (const { run, frames } of runs.toReversed()) {
    const mark = run === last.run ? FROM_LAST_RUN : FROM_EARLIER_RUN
    for (const { chain, from, length, position } of run.spans.toReversed()) {
      for (let i = Math.min(length, frames - position) - 1; i >= 0; i--) {
        const commit = chain.commits[from + i] as number
        if (commit !== 0 && commit < limit) limit = commit
        const pgno = chain.pgnos[from + i] as number
        if (pgno <= limit && marks[pgno] === 0) marks[pgno] = mark
      }
    }
  }
  const lock = lockPage(last.run.header.pageSize)
  const fromBase: number[] = []
  let allFromLastRun = true
  let missing: number | undefined
  for (let pgno = 1; pgno <= pages; pgno++) {
    if (pgno === lock || marks[pgno] === FROM_LAST_RUN) continue
    allFromLastRun = false
    if (marks[pgno] !== 0) continue
    if (pgno <= Math.min(limit, basePages)) fromBase.push(pgno)
    else missing ??= pgno
  }
  return { pages, allFromLastRun, fromBase, missing }
}

const FROM_EARLIER_RUN = 1
const FROM_LAST_RUN = 2
