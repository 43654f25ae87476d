import { SNAPSHOT_LEVEL } from '../replica/replica-layout.ts'
import { fileTime, type RetentionPoint } from './restore-points.ts'
import {
  limitsAge,
  type PeriodKind,
  periodOf,
  periodRules,
  type RetentionPolicy,
} from './retention-policy.ts'

/**
 * Why a restore point is kept. `fine`: no rule limits the age, and its granularity is still kept.
 * `window-start`: the state at the start of `keepForMs`.
 */
export type KeepReason =
  | 'newest'
  | 'fine'
  | 'keep-for'
  | 'window-start'
  | 'keep-last'
  | `keep-${PeriodKind}`

/**
 * The restore points that a policy asks for, and by which rules.
 *
 * @param points by ascending TXID
 * @param now in milliseconds
 */
export function wantedPoints(
  points: readonly RetentionPoint[],
  policy: RetentionPolicy,
  now: number,
): Map<RetentionPoint, KeepReason[]> {
  const wanted = new Map<RetentionPoint, KeepReason[]>()
  const want = (point: RetentionPoint | undefined, reason: KeepReason): void => {
    if (point === undefined) return
    const reasons = wanted.get(point)
    if (reasons === undefined) wanted.set(point, [reason])
    else reasons.push(reason)
  }
  want(points.at(-1), 'newest')
  for (const point of points) {
    if (now > keptByLevelUntil(point, policy)) continue
    if (!limitsAge(policy)) want(point, 'fine')
    else if (now <= keptByAgeUntil(point.time, policy)) want(point, 'keep-for')
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
 * The next moment, in milliseconds, at which a point can become unwanted by the passing of time alone;
 * `undefined` if none will.
 */
export function nextExpiry(
  points: readonly RetentionPoint[],
  policy: RetentionPolicy,
  now: number,
): number | undefined {
  const moments = points.flatMap((point) => [
    // A point is wanted up to and including this moment.
    keptByLevelUntil(point, policy) + 1,
    // For each file, since one other than the lowest may be kept.
    ...point.files.flatMap((file) => {
      const until = keptByAgeUntil(fileTime(file), policy)
      // At `until` it becomes the start of the window.
      return [until, until + 1]
    }),
  ])
  let next: number | undefined
  for (const moment of moments) {
    if (moment > now && moment < (next ?? Number.POSITIVE_INFINITY)) next = moment
  }
  return next
}

/** A coarser point is never dropped before a finer one, whatever the list says. */
function keptByLevelUntil(
  { time, granularity }: RetentionPoint,
  { levelKeepMs }: RetentionPolicy,
): number {
  if (granularity >= levelKeepMs.length) return Number.POSITIVE_INFINITY
  return time + Math.max(...levelKeepMs.slice(0, granularity + 1))
}

function keptByAgeUntil(time: number, policy: RetentionPolicy): number {
  if (!limitsAge(policy)) return Number.POSITIVE_INFINITY
  return policy.keepForMs === undefined ? Number.NEGATIVE_INFINITY : time + policy.keepForMs
}

/** The last in TXID order, since that is what a restore to the end of the period gives. */
function newestOfPeriods(
  points: readonly RetentionPoint[],
  kind: PeriodKind,
  count: number,
): RetentionPoint[] {
  const newest = new Map<number, RetentionPoint>()
  for (const point of points) newest.set(periodOf(kind, point.time), point)
  const periods = [...newest.keys()].sort((a, b) => b - a).slice(0, count)
  return periods.map((period) => newest.get(period) as RetentionPoint)
}
