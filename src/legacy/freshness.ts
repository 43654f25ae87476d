import type { FrameChain } from './frame-chain.ts'
import { isOutlivedByAny, knownThrough } from './known-pages.ts'
import type { LegacyEvidence } from './legacy-evidence.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { Replay } from './replay.ts'
import type { KnownPages, SnapshotContents } from './snapshot-contents.ts'
import { type AppliedRun, lastSegment, sizeAfter } from './wal-run.ts'

/**
 * How the newest snapshot relates to the end of a replay. `older`: proven to have nothing that the
 * replay lacks. Otherwise it has pages that nothing else in the replica explains. `behind`: its
 * upload began before the whole log was in the database file, so these pages are older than the
 * log, unless the log was restarted during the upload. `later`: they are newer than the last frame,
 * so commits were made that were never stored. `unclear`: neither can be shown.
 */
export type Freshness = 'older' | 'behind' | 'later' | 'unclear'

/** @param newest The newest snapshot stored before the requested time. */
export async function freshness(
  evidence: LegacyEvidence,
  newest: LegacySnapshot,
  { runs }: Replay,
): Promise<Freshness> {
  const last = runs.at(-1) as AppliedRun
  if (isOutlivedByAny(evidence, newest, last)) return 'older'
  const known = await knownThrough(evidence, newest, last)
  if (known.isAll) return 'older'
  const held = await evidence.contentsOf(newest, last.run.header.pageSize)
  if (isBehind(held, known, runs)) return 'behind'
  return lastSegment(last).uploadedAt > newest.storedAt ? 'unclear' : 'later'
}

/**
 * Was part of the log not yet in the database file when the snapshot was taken? SQLite restarts a
 * log only after it has checkpointed all of it, so in that case nothing in the snapshot can be
 * newer than the end of the log. It shows in a page that the snapshot lacks, or has in an older
 * version; for page 1 the change counter tells which of two versions is older.
 */
function isBehind(
  { pages, changeCounter }: SnapshotContents,
  known: KnownPages,
  runs: readonly AppliedRun[],
): boolean {
  let behind = false
  for (const { pgno, chain, index } of newestFrames(runs)) {
    const held = pages[pgno - 1]
    if (held === chain.contents[index]) continue
    const counter = chain.counters.get(index)
    if (counter !== undefined && changeCounter !== undefined) {
      return ((counter - changeCounter) | 0) > 0
    }
    if (held === undefined || known.has(pgno)) behind = true
  }
  return behind
}

interface PageFrame {
  readonly pgno: number
  readonly chain: FrameChain
  /** Index of the frame in the chain. */
  readonly index: number
}

/** The last frame of each page of the final database. */
function* newestFrames(runs: readonly AppliedRun[]): Generator<PageFrame, void, void> {
  const pages = sizeAfter(runs.at(-1) as AppliedRun)
  const seen = new Set<number>()
  for (const { run, frames } of runs.toReversed()) {
    for (const { chain, from, length, position } of run.spans.toReversed()) {
      for (let i = Math.min(length, frames - position) - 1; i >= 0; i--) {
        const index = from + i
        const pgno = chain.pgnos[index] as number
        if (pgno > pages || seen.has(pgno)) continue
        seen.add(pgno)
        yield { pgno, chain, index }
      }
    }
  }
}
