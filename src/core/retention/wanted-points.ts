import { SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import { type PeriodKind, periodOf, periodRules } from './periods.ts'
import { fileTime, type RestorablePoint } from './restore-points.ts'
import { limitsReach, type RetentionPolicy } from './retention-policy.ts'

/**
 * Why a point stays. `fine`: no rule limits the reach, and it is not too fine. `window-start`: the
 * state at the beginning of `keepForMs`.
 */
export type KeepReason =
  | 'newest'
  | 'fine'
  | 'keep-for'
  | 'window-start'
  | 'keep-last'
  | `keep-${PeriodKind}`

/**
 * The points that a policy asks for, and by which rules.
 *
 * @param points by ascending TXID
 * @param now in milliseconds
 */
export function wantedPoints(
  points: readonly RestorablePoint[],
  policy: RetentionPolicy,
  now: number,
): Map<RestorablePoint, KeepReason[]> {
  const wanted = new Map<RestorablePoint, KeepReason[]>()
  const want = (point: RestorablePoint | undefined, reason: KeepReason): void => {
    if (point === undefined) return
    const reasons = wanted.get(point)
    if (reasons === undefined) wanted.set(point, [reason])
    else reasons.push(reason)
  }
  want(points.at(-1), 'newest')
  for (const point of points) {
    if (now > fineUntil(point, policy)) continue
    if (!limitsReach(policy)) want(point, 'fine')
    else if (now <= reachedUntil(point.time, policy)) want(point, 'keep-for')
  }
  const { keepForMs, keepLast = 0 } = policy
  if (keepForMs !== undefined) {
    const start = points.findLast((point) => point.time <= now - keepForMs)
    want(start, 'window-start')
  }
  const snapshots = points.filter((point) => point.level === SNAPSHOT_LEVEL)
  for (const point of snapshots.reverse().slice(0, keepLast)) want(point, 'keep-last')
  for (const { kind, count } of periodRules(policy)) {
    for (const point of newestOfPeriods(points, kind, count)) want(point, `keep-${kind}`)
  }
  return wanted
}

/**
 * The next moment at which the passing of time alone can make a point unwanted, in milliseconds;
 * `undefined` if none will.
 */
export function nextExpiry(
  points: readonly RestorablePoint[],
  policy: RetentionPolicy,
  now: number,
): number | undefined {
  const moments = points.flatMap((point) => [
    // A point is wanted up to and including its last moment.
    fineUntil(point, policy) + 1,
    // Of each file, since another than the lowest may be the one that stays.
    ...point.files.flatMap((file) => {
      const until = reachedUntil(fileTime(file), policy)
      // In which it begins the window.
      return [until, until + 1]
    }),
  ])
  let next: number | undefined
  for (const moment of moments) {
    if (moment > now && moment < (next ?? Number.POSITIVE_INFINITY)) next = moment
  }
  return next
}

/** A coarser point never goes before a finer one, whatever the list says. */
function fineUntil({ time, fineness }: RestorablePoint, { levelKeepMs }: RetentionPolicy): number {
  if (fineness >= levelKeepMs.length) return Number.POSITIVE_INFINITY
  return time + Math.max(...levelKeepMs.slice(0, fineness + 1))
}

function reachedUntil(time: number, policy: RetentionPolicy): number {
  if (!limitsReach(policy)) return Number.POSITIVE_INFINITY
  return policy.keepForMs === undefined ? Number.NEGATIVE_INFINITY : time + policy.keepForMs
}

/** The last of them in TXID order, for that is what a restore to the period's end gives. */
function newestOfPeriods(
  points: readonly RestorablePoint[],
  kind: PeriodKind,
  count: number,
): RestorablePoint[] {
  const newest = new Map<number, RestorablePoint>()
  for (const point of points) newest.set(periodOf(kind, point.time), point)
  const periods = [...newest.keys()].sort((a, b) => b - a).slice(0, count)
  return periods.map((period) => newest.get(period) as RestorablePoint)
}
