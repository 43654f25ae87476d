import { walFrameOffset } from '../core/wal/index.ts'
import type { FrameChain } from './frame-chain.ts'
import type { LegacyReason } from './legacy-grade.ts'
import type { LegacySegment, LegacyState } from './list-legacy.ts'
import { firstUpload, follows, type WalHistory } from './wal-history.ts'
import type { WalRun } from './wal-run.ts'
import { type AppliedRun, lastSegment } from './wal-run.ts'

/**
 * What is missing after the last frame that a restore replays, as far as the replica shows.
 *
 * @param state `undefined` if there is no readable one.
 * @param last The last run replayed.
 * @param until The requested time, if any.
 */
export function reasonsAtEnd(
  history: WalHistory,
  state: LegacyState | undefined,
  last: AppliedRun,
  until: Date | undefined,
): LegacyReason[] {
  if (goesOn(history, last, until)) return []
  const reasons: LegacyReason[] = []
  if (last.uncommitted > 0) reasons.push(uncommitted(last))
  const unusable = firstUnusable(history, last)
  if (unusable !== undefined) return [...reasons, hole(last, unusable)]
  const end = stateReason(history, state, last) ?? (until === undefined ? burst(last) : undefined)
  return end === undefined ? reasons : [...reasons, end]
}

/** Number of segments before the last one used to estimate how fast the writer was at the end. */
const PACE_SEGMENTS = 5

/**
 * walsync 0.1 stored one segment per file event. If each of the last segments holds several
 * commits, the writer was faster than walsync, and the log most likely continued after its stored
 * end: under such load SQLite checkpoints the log and restarts it in place, and frames written
 * below the position reached so far were never stored.
 */
function burst(last: AppliedRun): LegacyReason | undefined {
  const commits = new Map<LegacySegment, number>()
  for (const { chain, from, length, position } of last.run.spans) {
    const end = from + Math.min(length, last.frames - position)
    let count = commits.get(chain.segment) ?? 0
    for (let i = from; i < end; i++) if (chain.commits[i] !== 0) count++
    commits.set(chain.segment, count)
  }
  const before = [...commits.values()].slice(-1 - PACE_SEGMENTS, -1)
  const sum = before.reduce((all, count) => all + count, 0)
  if (before.length < PACE_SEGMENTS || sum < 1.5 * PACE_SEGMENTS) return undefined
  const { key } = lastSegment(last)
  const message = `The ${PACE_SEGMENTS} segments before ${key} hold ${sum} commits: the log ends while a writer was faster than walsync 0.1, which stored nothing more once SQLite had restarted such a log in place. Later commits are probably missing.`
  return { code: 'burst', message, key }
}

/**
 * Does the log continue without a gap after the requested time? Then nothing before that time can
 * be missing.
 */
function goesOn(
  history: WalHistory,
  { run, goesOn: more }: AppliedRun,
  until: Date | undefined,
): boolean {
  if (until === undefined || more) return more
  const next = history.runs[history.runs.indexOf(run) + 1]
  if (next === undefined || firstUpload(next) <= until.getTime()) return false
  return follows(history, run, next)
}

/**
 * The first segment after the end with something that does not continue the log. That includes
 * frames of an earlier run: they were leftovers behind the end of the log, and later commits
 * overwrote them unnoticed.
 */
function firstUnusable(
  { segments, chains, places }: WalHistory,
  last: AppliedRun,
): LegacySegment | undefined {
  return segments.slice(segments.indexOf(lastSegment(last))).find((segment) => {
    const here = chains.get(segment)
    return here === undefined || here.some((chain) => places.get(chain)?.run !== last.run)
  })
}

/** Compares the end of the stored log with the position that was recorded after each upload. */
function stateReason(
  history: WalHistory,
  state: LegacyState | undefined,
  { run }: AppliedRun,
): LegacyReason | undefined {
  if (state === undefined) {
    const message =
      'There is no readable state.json, which walsync 0.1 wrote after each segment, so it is unknown whether the last segments are missing.'
    return { code: 'no-state', message }
  }
  const segment = history.segments.at(-1) as LegacySegment
  if (state.storedAt.getTime() - segment.storedAt.getTime() > STATE_DELAY_MS) {
    const message = `state.json was written at ${state.storedAt.toISOString()}, right after a segment, but the last segment, ${segment.key}, dates from ${segment.storedAt.toISOString()}: some are missing.`
    return { code: 'end-missing', message, key: segment.key }
  }
  const end = endOf(history, run)
  const isAhead =
    state.generation > end.generation ||
    (state.generation === end.generation && state.offset > end.offset)
  if (!isAhead) return undefined
  const message = `According to state.json the log was stored up to byte ${state.offset} of generation ${state.generation}, but the segments end with ${end.key}, at byte ${end.offset} of generation ${end.generation}: some are missing.`
  return { code: 'end-missing', message, key: end.key }
}

/** Longest assumed duration of a second upload after a segment, with its retries. */
const STATE_DELAY_MS = 5 * 60_000

/** Where the uploads of a run end in its WAL, including leftovers after that end. */
function endOf({ chains, places }: WalHistory, run: WalRun) {
  const end = { offset: 0, generation: 0, key: '' }
  for (const [{ key, generation }, here] of chains) {
    const place = places.get(here[0] as FrameChain)
    if (place?.run !== run) continue
    const frames = here.reduce((sum, { length }) => sum + length, 0)
    const offset = walFrameOffset(place.position + frames, run.header.pageSize)
    if (offset >= end.offset) Object.assign(end, { offset, generation, key })
  }
  return end
}

function uncommitted(last: AppliedRun): LegacyReason {
  const { key } = last.run.spanAt(last.frames + last.uncommitted - 1).chain.segment
  const count = last.uncommitted === 1 ? '1 frame' : `${last.uncommitted} frames`
  const message = `${count} at the end, up to ${key}, belong to a transaction without a commit: SQLite overwrites such frames with later commits, which walsync 0.1 did not store again.`
  return { code: 'uncommitted', message, key }
}

function hole(last: AppliedRun, { key }: LegacySegment): LegacyReason {
  const before = lastSegment(last).key
  const message =
    before === key
      ? `${key} ends with frames that do not continue the log: they were overwritten later or are damaged.`
      : `The log does not continue in ${key}: frames between it and ${before} were never stored, are missing, or are damaged.`
  return { code: 'hole', message, key }
}
