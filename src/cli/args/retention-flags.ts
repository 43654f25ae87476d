import { z } from 'zod'
import { MAX_LEVEL } from '../../core/compaction/plan-compaction.ts'
import type { RetentionPolicy } from '../../core/retention/retention-policy.ts'
import { durations, integer, longDuration, parseFlags } from './flags.ts'

const count = () => integer(1, 1_000_000).optional()

/** `--levels`. */
export const levelFlags = z.object({
  levels: durations({ max: MAX_LEVEL, ascending: true }),
})

/** `--keep-…` and `--grace`. */
export const retentionFlags = z.object({
  keepLevels: durations({ max: MAX_LEVEL + 1, zero: true }),
  keepFor: longDuration().optional(),
  keepLast: count(),
  keepHourly: count(),
  keepDaily: count(),
  keepWeekly: count(),
  keepMonthly: count(),
  grace: longDuration({ zero: true }),
})

/** Intervals of the levels 1, 2, 3 …, in milliseconds; empty for `none`. @throws UsageError */
export function parseLevels(text: string): readonly number[] {
  return parseFlags(levelFlags, { levels: text }).levels
}

/** What the flags, validated by `retentionFlags`, ask for. */
export function parseRetention(flags: z.output<typeof retentionFlags>): RetentionPolicy {
  return {
    levelKeepMs: flags.keepLevels,
    keepForMs: flags.keepFor,
    keepLast: flags.keepLast,
    keepHourly: flags.keepHourly,
    keepDaily: flags.keepDaily,
    keepWeekly: flags.keepWeekly,
    keepMonthly: flags.keepMonthly,
    graceMs: flags.grace,
  }
}
