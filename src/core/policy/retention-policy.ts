/**
 * What of a replica's history stays. Times in milliseconds. Two rules work together:
 *
 * - *Fineness.* A restorable point that only a file of level N ends at stays for `levelKeepMs[N]`;
 *   after that only the coarser points of the higher levels are left. Levels behind the list's end
 *   keep their points for as long as the history reaches.
 * - *Reach.* Without any of the `keep…` fields history is never cut off. With them a point stays if
 *   at least one of them asks for it; every other point may go.
 *
 * The newest restorable point always stays.
 */
export interface RetentionPolicy {
  /** By level, from 0 on. Default: 5 minutes, 24 hours, 7 days. */
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
