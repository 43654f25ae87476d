import { lastSegment } from './applied-run.ts'
import type { LegacyEvidence } from './legacy-evidence.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { Replay } from './replay.ts'
import { isOutlived } from './snapshot-anchor.ts'
import type { SnapshotCheck } from './snapshot-check.ts'

/**
 * How the newest snapshot stands to the end of a replay: `older`: it has nothing that the replay has not. `later`: it was
 * taken after the last frame was stored, and has pages that nothing else in the replica has: commits went
 * by unstored. `unclear`: neither is shown.
 */
export type Freshness = 'older' | 'later' | 'unclear'

/** @param newest The newest snapshot that was stored before the time asked for. */
export async function freshness(
  evidence: LegacyEvidence,
  newest: LegacySnapshot,
  replay: Replay,
): Promise<Freshness> {
  const { runs } = evidence.history
  const last = replay.runs.at(-1)
  if (last === undefined) throw new TypeError('Expected at least one run.')
  const upToLast = runs.slice(0, runs.indexOf(last.run) + 1)
  if (upToLast.some((run) => isOutlived(run, newest))) return 'older'
  const check = await evidence.checkAgainstOlder(newest, last.run.header.pageSize)
  if (check.allKnown) return 'older'
  return lastSegment(last).uploadedAt > newest.storedAt ? 'unclear' : 'later'
}

/**
 * Does a snapshot with unknown pages still need the replay onto it? If it has a page in a version
 * before the replay's last, then that run was not wholly in the database file when the
 * snapshot was taken, hence not restarted: the unknown pages are older than the run. Otherwise they are newer,
 * and the replay would undo them.
 */
export function needsReplay(check: SnapshotCheck, { runs }: Replay): boolean {
  const seen = new Set<number>()
  for (const { run, frames } of runs.toReversed()) {
    for (const { chain, from, length, position } of run.spans.toReversed()) {
      for (let i = Math.min(length, frames - position) - 1; i >= 0; i--) {
        const pgno = chain.pgnos[from + i] as number
        if (seen.has(pgno)) continue
        seen.add(pgno)
        const held = check.contents[pgno - 1]
        if (held !== undefined && held !== chain.contents[from + i] && check.isKnown(pgno)) {
          return true
        }
      }
    }
  }
  return false
}
