import { type AppliedRun, lastSegment } from './applied-run.ts'
import { isFirstFrameProven } from './first-frame.ts'
import { knownUpTo, vouchedPages } from './known-pages.ts'
import type { LegacyEvidence } from './legacy-evidence.ts'
import type { LegacyReason } from './legacy-grade.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import { isOutlived } from './outlived.ts'
import type { Replay } from './replay.ts'
import { areMixed, type WalHistory } from './wal-history.ts'

/**
 * Why a replay cannot be shown to make exactly what the database held at its last commit; empty if
 * it does. Proven is a database
 *
 * - all of whose pages are frames of one run, whatever came before that run; or
 * - made of one run that is replayed onto a snapshot, if that run had begun when the snapshot's upload began
 *   and was still written after it had ended, and if the pages that only the snapshot has are
 *   found a second time in the replica.
 *
 * A restart of the log in between breaks the proof: SQLite may have checkpointed and overwritten frames at the
 * old run's end before walsync 0.1 read them, and nothing tells where a run ended.
 */
export async function exactnessReasons(
  evidence: LegacyEvidence,
  replay: Replay,
): Promise<LegacyReason[]> {
  const { history } = evidence
  const { base, anchor, runs, sources } = replay
  const always = [...forked(replay), ...mixed(history, replay), ...unaccounted(history, replay)]
  const [start] = runs
  if (start !== undefined && !(await isFirstFrameProven(evidence, start, sources.pages))) {
    always.push(weakStart(start))
  }
  if (always.length > 0 || sources.allFromLastRun) return always
  const reasons = runs.length === 1 ? [] : [restarted(runs)]
  if (base === undefined || anchor === undefined) return reasons
  if (!anchor.certain && sources.fromBase.length > 0) reasons.push(notAnchored(base))
  const [run] = runs
  if (run === undefined || reasons.length > 0) return reasons
  if (!isOutlived(run, base)) {
    const known = await knownUpTo(evidence, base, run)
    return known.isAll ? [] : [notOutlived(history, base)]
  }
  if (sources.fromBase.length === 0) return []
  const vouched = await vouchedPages(evidence, base, run.run.header.pageSize)
  const alone = sources.fromBase.filter((pgno) => !vouched.has(pgno))
  return alone.length === 0 ? [] : [unvouched(base, alone.length)]
}

function forked({ runs }: Replay): LegacyReason[] {
  const run = runs.find(({ run: { forked } }) => forked)
  if (run === undefined) return []
  const { key } = lastSegment(run)
  const message = `The log before ${key} has two histories with commits, because of a power failure or because two programs wrote. The later one was used.`
  return [{ code: 'forked', message, key }]
}

function mixed({ runs: all }: WalHistory, { runs }: Replay): LegacyReason[] {
  for (const { run } of runs) {
    const other = all.find((one) => one !== run && areMixed(one, run))
    if (other === undefined) continue
    const key = other.spans[0]?.chain.segment.key
    const message = `Two logs were stored at the same time, the other one from ${key} on: two databases or two programs used one name. The snapshots may belong to either.`
    return [{ code: 'mixed', message, key }]
  }
  return []
}

/** Segments among those in use of which nothing can be placed. */
function unaccounted({ segments, chains, places }: WalHistory, { runs }: Replay): LegacyReason[] {
  const [first] = runs
  const last = runs.at(-1)
  if (first === undefined || last === undefined) return []
  const start = segments.indexOf(first.run.spanAt(0).chain.segment)
  const strange = segments
    .slice(start, segments.indexOf(lastSegment(last)))
    .filter((segment) => !chains.get(segment)?.some((chain) => places.has(chain)))
  const [one] = strange
  if (one === undefined) return []
  const count = strange.length === 1 ? '1 segment' : `${strange.length} segments`
  const message = `${count} among those in use, ${one.key} first, do not belong anywhere in the log: they are damaged or from another database.`
  return [{ code: 'unaccounted', message, key: one.key }]
}

function notAnchored({ key }: LegacySnapshot): LegacyReason {
  const message = `Nothing of the log was stored before ${key}, so it is unknown whether the snapshot has everything that came before the log.`
  return { code: 'not-anchored', message, key }
}

function restarted(runs: readonly AppliedRun[]): LegacyReason {
  const times = runs.length === 2 ? 'once' : `${runs.length - 1} times`
  const { key } = (runs[1] as AppliedRun).run.spanAt(0).chain.segment
  const message = `The log was restarted ${times} in between, first before ${key}: commits made just before a restart may never have been stored, and nothing shows whether there were any.`
  return { code: 'restarted', message, key }
}

function weakStart({ run }: AppliedRun): LegacyReason {
  const { key } = run.spanAt(0).chain.segment
  const message = `The first frame of the log, in ${key}, has a page that nothing else in the replica has, and without the log's header its checksum is only a partial check: damage there might go unnoticed.`
  return { code: 'weak-start', message, key }
}

/** For a snapshot of which it is not shown that the log was still written after it. */
export function notOutlived({ segments }: WalHistory, snapshot: LegacySnapshot): LegacyReason {
  const { key, takenAt, storedAt } = snapshot
  const isCopied = segments.some(({ uploadedAt }) => {
    return uploadedAt.getTime() > takenAt.getTime() + 1000 && uploadedAt < storedAt
  })
  const why = isCopied
    ? `By the store's time its upload ended at ${storedAt.toISOString()}, when later segments already existed: nothing can be proven in a copy of a bucket that does not preserve the times of objects.`
    : `Too little was stored after it.`
  const message = `It cannot be proven that ${key} is not newer than the log, so it may have pages of commits whose frames were never stored. ${why}`
  return { code: 'not-outlived', message, key }
}

function unvouched({ key }: LegacySnapshot, pages: number): LegacyReason {
  const count = pages === 1 ? '1 page is' : `${pages} pages are`
  const message = `${count} only in ${key}, which was stored without a checksum: damage there would go unnoticed.`
  return { code: 'unvouched', message, key }
}
