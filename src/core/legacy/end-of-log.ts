import { walFrameOffset } from '../wal/index.ts'
import { type AppliedRun, lastSegment } from './applied-run.ts'
import type { LegacyReason } from './legacy-grade.ts'
import type { LegacySegment, LegacyState } from './list-legacy.ts'
import { firstUpload, follows, type WalHistory } from './wal-history.ts'

/**
 * What is missing behind the last frame that a restore replays, as far as the replica shows it.
 *
 * @param state `undefined` if there is no readable one.
 * @param last The last run replayed.
 * @param until The time asked for, if any.
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
  const end = stateReason(history, state)
  return end === undefined ? reasons : [...reasons, end]
}

/** Does the log go on without a gap behind the time asked for? Then nothing can be missing before it. */
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

/** The first segment from the end on with something that does not continue the log. */
function firstUnusable(
  { segments, chains, places, runs }: WalHistory,
  last: AppliedRun,
): LegacySegment | undefined {
  const order = new Map(runs.map((run, index) => [run, index]))
  const own = order.get(last.run) as number
  return segments.slice(segments.indexOf(lastSegment(last))).find((segment) => {
    const here = chains.get(segment)
    if (here === undefined) return true
    return here.some((chain) => {
      const place = places.get(chain)
      return place === undefined || (order.get(place.run) as number) > own
    })
  })
}

/** Holds the end of the last segment against the position that was noted after each upload. */
function stateReason(
  { segments, chains, places }: WalHistory,
  state: LegacyState | undefined,
): LegacyReason | undefined {
  if (state === undefined) {
    const message =
      'There is no readable state.json, which walsync 0.1 wrote after each segment: whether the last segments are gone cannot be seen.'
    return { code: 'no-state', message }
  }
  const segment = segments.at(-1) as LegacySegment
  const [chain] = chains.get(segment) ?? []
  const place = chain && places.get(chain)
  if (chain === undefined || place === undefined) return undefined
  const frames = chains.get(segment)?.reduce((sum, { length }) => sum + length, 0) ?? 0
  const stored = walFrameOffset(place.position + frames, chain.pageSize)
  const behind =
    state.generation > segment.generation ||
    (state.generation === segment.generation && state.offset > stored)
  if (!behind) return undefined
  const message = `By state.json the log was stored up to byte ${state.offset} of generation ${state.generation}; the last segment, ${segment.key}, ends at byte ${stored} of generation ${segment.generation}: segments are gone.`
  return { code: 'end-missing', message, key: segment.key }
}

function uncommitted(last: AppliedRun): LegacyReason {
  const { key } = last.run.spanAt(last.frames + last.uncommitted - 1).chain.segment
  const count = last.uncommitted === 1 ? '1 frame' : `${last.uncommitted} frames`
  const message = `${count} at the end, up to ${key}, belong to a transaction without a commit: SQLite writes later commits over such frames, and walsync 0.1 did not store them again.`
  return { code: 'uncommitted', message, key }
}

function hole(last: AppliedRun, { key }: LegacySegment): LegacyReason {
  const before = lastSegment(last).key
  const message =
    before === key
      ? `${key} ends with frames that do not continue the log: they were overwritten later, or are damaged.`
      : `The log does not go on in ${key}: frames between it and ${before} were never stored, are gone, or are damaged.`
  return { code: 'hole', message, key }
}
