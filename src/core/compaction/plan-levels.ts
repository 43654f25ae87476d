import type { LtxFileInfo } from '../replica/replica-client.ts'
import { type CompactionStep, planCompaction } from './plan-compaction.ts'

/** What is to be merged into one level. */
export interface LevelPlan {
  readonly level: number
  /** Those whose interval is over. */
  readonly due: readonly CompactionStep[]
  readonly later: readonly CompactionStep[]
}

/**
 * What there is to merge in all levels, each going by what the levels below will have made by then.
 *
 * @param intervals of the levels 1, 2, 3 …, in milliseconds
 * @param now in milliseconds
 */
export function planLevels(
  files: readonly LtxFileInfo[],
  intervals: readonly number[],
  now: number,
): LevelPlan[] {
  const known = [...files]
  return intervals.map((intervalMs, i) => {
    const level = i + 1
    const steps = planCompaction(known, level, { intervalMs, now })
    const due = steps.filter(({ dueAt }) => dueAt <= now)
    known.push(...due.map(resultOf))
    return { level, due, later: steps.filter(({ dueAt }) => dueAt > now) }
  })
}

/** The file that a merge makes, as far as that can be told before: it is no larger than its inputs. */
function resultOf({ level, files, minTxid, maxTxid, bytes }: CompactionStep): LtxFileInfo {
  return { ...(files.at(-1) as LtxFileInfo), level, minTxid, maxTxid, size: bytes }
}
