import { type AppliedRun, runUntil } from './applied-run.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import { type PageSources, pageSources } from './page-sources.ts'
import { type Anchor, anchorOf } from './snapshot-anchor.ts'
import { follows, type WalHistory } from './wal-history.ts'

/** A snapshot and the runs to replay onto it, each next one the restart of the one before. */
export interface Replay {
  /** `undefined` if the frames make the whole database. */
  readonly base: LegacySnapshot | undefined
  readonly anchor: Anchor | undefined
  /** At least one, each with at least one commit. */
  readonly runs: readonly AppliedRun[]
  readonly sources: PageSources
}

/**
 * Ways to get to the end of the newest run, then of the one before, and so on: for each end those that have all pages,
 * without a snapshot first, then with the newest snapshot. Runs that nothing leads to are
 * left out: a hole is never bridged.
 *
 * @param snapshots Newest first.
 * @param until The time asked for, if any.
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

/** Snapshots tried for one end: the newest needs the shortest replay, and each costs a pass over its frames. */
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
