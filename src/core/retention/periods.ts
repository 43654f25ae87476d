import type { RetentionPolicy } from './retention-policy.ts'

/** The kinds of calendar periods of which a policy can keep the newest point. */
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

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** 1970-01-01 was a Thursday, and ISO weeks begin on Mondays. */
const DAYS_FROM_MONDAY = 3

/** Number of the UTC period that a time in milliseconds lies in; ascends with time, without holes. */
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
