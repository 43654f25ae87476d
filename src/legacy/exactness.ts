import { isLaterRun } from '../core/wal/index.ts'
import type { FrameChain } from './frame-chain.ts'
import { allFrames, isOutlived, knownUpTo, vouchedPages } from './known-pages.ts'
import type { LegacyEvidence } from './legacy-evidence.ts'
import type { LegacyReason } from './legacy-grade.ts'
import type { LegacySnapshot } from './list-legacy.ts'
import type { Replay } from './replay.ts'
import { areMixed, type WalHistory } from './wal-history.ts'
import { type AppliedRun, lastSegment } from './wal-run.ts'

/**
 * Why it cannot be proven that a replay produces exactly what the database held at its last commit;
 * empty if it can. Proven are databases
 *
 * - whose pages are all frames of one run, whatever came before that run; or
 * - made by replaying one run onto a snapshot, if the run began before the snapshot's upload began,
 *   was still being written after the upload ended, and if every page that only the snapshot
 *   provides is found a second time in the replica.
 *
 * A restart of the log in between breaks the proof: SQLite may have checkpointed and overwritten
 * frames at the end of the old run before walsync 0.1 read them, and nothing records where a run
 * ended.
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
    const message = `Two logs were stored at the same time, the other one starting at ${key}: two databases or two programs used the same name. The snapshots may belong to either.`
    return [{ code: 'mixed', message, key }]
  }
  return []
}

/** Segments between the first and last in use of which nothing can be placed in the log. */
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
  const message = `${count} in the middle of the log, the first of them ${one.key}, cannot be placed in it: damaged, or from another database.`
  return [{ code: 'unaccounted', message, key: one.key }]
}

function notAnchored({ key }: LegacySnapshot): LegacyReason {
  const message = `No part of the log was stored before ${key}, so it is unknown whether the snapshot has everything that came before the log.`
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

/** For a snapshot that is not proven to be older than the end of the log. */
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

/**
 * Is the first frame of a run as good as proven, or does the result not depend on it?
 *
 * Every other frame is verified by two 32-bit sums. For the first frame, half of that is used up to
 * find the header's checkpoint sequence number, and the rest misses one in forty single-bit
 * changes. The check is complete if the sequence number is known from elsewhere: 0 in a new log, or
 * as many restarts after another run as the salts say. Otherwise the frame's page must be found a
 * second time, or be written again later.
 */
async function isFirstFrameProven(
  evidence: LegacyEvidence,
  { run, frames }: AppliedRun,
  pages: number,
): Promise<boolean> {
  const { history, replica } = evidence
  const { header } = run
  if (header.sequence === 0) return true
  const isRelated = history.runs.some(
    (other) => isLaterRun(other.header, header) || isLaterRun(header, other.header),
  )
  if (isRelated) return true
  const { chain, from } = run.spanAt(0)
  const pgno = chain.pgnos[from] as number
  const content = chain.contents[from] as bigint
  // The only change of the page number that the remaining check misses, for either byte order.
  const other = (pgno ^ (header.bigEndian ? 0x80000000 : 0x80)) >>> 0
  const isHarmless = [pgno, other].every(
    (one) => one > pages || isRewritten(run.spans, one, frames),
  )
  if (isHarmless || hasTwin(allFrames(history), chain, from)) return true
  for (const snapshot of replica.snapshots.slice(-MAX_SNAPSHOTS)) {
    const held = await evidence.pageOf(snapshot, pgno, header.pageSize)
    if (held === content) return true
  }
  return false
}

/** How many of the newest snapshots are searched for the page; each costs one read of a page. */
const MAX_SNAPSHOTS = 8

function isRewritten(spans: AppliedRun['run']['spans'], pgno: number, frames: number): boolean {
  return spans.some(({ chain, from, length, position }) => {
    for (let i = position === 0 ? 1 : 0; i < length && position + i < frames; i++) {
      if (chain.pgnos[from + i] === pgno) return true
    }
    return false
  })
}

/** Does another frame have the same content for the same page? */
function hasTwin(
  ranges: Iterable<{ readonly chain: FrameChain }>,
  own: FrameChain,
  index: number,
): boolean {
  const pgno = own.pgnos[index]
  const content = own.contents[index]
  for (const { chain } of ranges) {
    for (let i = 0; i < chain.length; i++) {
      if (chain === own && i === index) continue
      if (chain.pgnos[i] === pgno && chain.contents[i] === content) return true
    }
  }
  return false
}
