/**
 * What of a replica's history stays. Times in milliseconds. A *point* is a state that a restore can
 * reach: a TXID that some file ends with. Two rules work together:
 *
 * - *Fineness.* A point is given up only for a coarser one: once a file of level N + 1 has taken its
 *   transactions in and goes on behind it, it stays for `levelKeepMs[N]` of its age. A point that no
 *   compaction has run over is never too fine, whatever its age, and neither is a snapshot.
 * - *Reach.* Without any of the other `keep…` fields history is never cut off. With them a point
 *   stays if at least one of them asks for it; every other point may go. The newest points of
 *   periods, the snapshots of `keepLast` and the state at the beginning of `keepForMs` stay whatever
 *   their fineness.
 *
 * The newest point always stays.
 */
export interface RetentionPolicy {
  /**
   * By level, from 0 to 8; levels behind the list's end keep their points, and none keeps them for
   * less than a lower one. Default: 5 minutes, 24 hours, 7 days.
   */
  readonly levelKeepMs: readonly number[]
  /** Every point of the last so many milliseconds, and the state at their beginning. */
  readonly keepForMs?: number | undefined
  /** The newest so many snapshots. */
  readonly keepLast?: number | undefined
  /** The newest point of each of the last so many hours, days, ISO weeks and months (UTC) that have one. */
  readonly keepHourly?: number | undefined
  readonly keepDaily?: number | undefined
  readonly keepWeekly?: number | undefined
  readonly keepMonthly?: number | undefined
  /** An object younger than this, or superseded for less than this, is not deleted: a restore may be reading by an older listing. Default 5 minutes. */
  readonly graceMs: number
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export const DEFAULT_RETENTION: RetentionPolicy = {
  levelKeepMs: [5 * MINUTE, DAY, 7 * DAY],
  graceMs: 5 * MINUTE,
}

/** Intervals of the levels 1, 2, 3 …, in milliseconds, as in Litestream: 30 seconds, 5 minutes, 1 hour. At most 8. */
export const DEFAULT_LEVELS: readonly number[] = [MINUTE / 2, 5 * MINUTE, HOUR]

/** Does the policy cut history off at all, or only thin it out? */
export function limitsReach(policy: RetentionPolicy): boolean {
  const { keepForMs, keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly } = policy
  return [keepForMs, keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly].some(
    (field) => field !== undefined,
  )
}
