/**
 * Which part of a replica's history is kept. Times are in milliseconds. A *restore point* is a state
 * that a restore can reach: a TXID that some file ends with. Two rules work together:
 *
 * - *Granularity.* A point is dropped only in favour of a coarser one: once a file of level N + 1
 *   contains its transactions and later ones, it is kept until its age is `levelKeepMs[N]`. A point
 *   that no compaction has merged is kept whatever its age, and so is a snapshot.
 * - *Age.* Without any of the other `keep…` fields, history is never cut off. With them, a point is
 *   kept if at least one of them asks for it. The newest points of periods, the snapshots of
 *   `keepLast` and the state at the start of `keepForMs` are kept whatever their granularity.
 *
 * The newest point is always kept.
 */
export interface RetentionPolicy {
  /**
   * By level, from 0 to 8. Levels beyond the end of the list keep their points, and no level keeps them
   * for less time than a lower one. Default: 5 minutes, 24 hours, 7 days.
   */
  readonly levelKeepMs: readonly number[]
  /** Keep every point of this last period, and the state at its start. */
  readonly keepForMs?: number | undefined
  /** Keep this many of the newest snapshots. */
  readonly keepLast?: number | undefined
  /** Keep the newest point of each of the last N hours, days, ISO weeks and months (UTC) that have one. */
  readonly keepHourly?: number | undefined
  readonly keepDaily?: number | undefined
  readonly keepWeekly?: number | undefined
  readonly keepMonthly?: number | undefined
  /** Objects younger than this, or superseded more recently, are not deleted: a restore may be using an older listing. Default 5 minutes. */
  readonly minObjectAgeMs: number
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const DEFAULT_RETENTION: RetentionPolicy = {
  levelKeepMs: [5 * MINUTE, DAY, 7 * DAY],
  minObjectAgeMs: 5 * MINUTE,
}

/** Intervals of the levels 1, 2, 3 …, in milliseconds, as in Litestream: 30 seconds, 5 minutes, 1 hour. At most 8. */
export const DEFAULT_LEVELS: readonly number[] = [MINUTE / 2, 5 * MINUTE, HOUR]

/** Whether the policy cuts history off, rather than only thinning it out. */
export function limitsAge(policy: RetentionPolicy): boolean {
  const { keepForMs, keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly } = policy
  return [keepForMs, keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly].some(
    (field) => field !== undefined,
  )
}

/** Calendar periods of which a policy can keep the newest point. */
export type PeriodKind = 'hourly' | 'daily' | 'weekly' | 'monthly'

/** The periods that a policy asks for, and how many of each. */
export function periodRules(
  policy: RetentionPolicy,
): { readonly kind: PeriodKind; readonly count: number }[] {
  const counts: Record<PeriodKind, number | undefined> = {
    hourly: policy.keepHourly,
    daily: policy.keepDaily,
    weekly: policy.keepWeekly,
    monthly: policy.keepMonthly,
  }
  return (Object.keys(counts) as PeriodKind[]).flatMap((kind) => {
    const count = counts[kind]
    return count === undefined ? [] : [{ kind, count }]
  })
}

/** 1970-01-01 was a Thursday, and ISO weeks begin on Mondays. */
const DAYS_FROM_MONDAY = 3

/** Number of the UTC period that contains a time in milliseconds; consecutive periods have consecutive numbers. */
export function periodOf(kind: PeriodKind, time: number): number {
  switch (kind) {
    case 'hourly':
      return Math.floor(time / HOUR)
    case 'daily':
      return Math.floor(time / DAY)
    case 'weekly':
      return Math.floor((Math.floor(time / DAY) + DAYS_FROM_MONDAY) / 7)
    case 'monthly': {
      const date = new Date(time)
      return date.getUTCFullYear() * 12 + date.getUTCMonth()
    }
  }
}
