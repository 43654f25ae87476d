import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import type { RetentionPolicy } from '../../../src/core/retention/retention-policy.ts'

/**
 * What a policy asks for, written a second time in the plainest way: every rule tries every file
 * and every state. Shares no code with the planner.
 */

/** TXIDs of the states that some sequence of the files makes. */
export function reachable(files: readonly LtxFileInfo[]): Set<bigint> {
  const reached = new Set<bigint>([0n])
  for (let size = 0; size !== reached.size; ) {
    size = reached.size
    for (const file of files) {
      for (const state of reached) {
        if (file.minTxid <= state + 1n && state < file.maxTxid) {
          reached.add(file.maxTxid)
          break
        }
      }
    }
  }
  reached.delete(0n)
  return reached
}

export function timeOfState(files: readonly LtxFileInfo[], state: bigint): number {
  let best: LtxFileInfo | undefined
  for (const file of files) {
    if (file.maxTxid !== state) continue
    const better =
      best === undefined ||
      file.level < best.level ||
      (file.level === best.level && file.minTxid < best.minTxid)
    if (better) best = file
  }
  const file = best as LtxFileInfo
  return (file.createdAt ?? file.lastModified).getTime()
}

/** The states that must stay. */
export function wantedStates(
  files: readonly LtxFileInfo[],
  policy: RetentionPolicy,
  now: number,
): Set<bigint> {
  const states = [...reachable(files)].sort((a, b) => (a < b ? -1 : 1))
  const wanted = new Set<bigint>()
  const newest = states.at(-1)
  if (newest === undefined) return wanted
  wanted.add(newest)
  const rules = [
    policy.keepForMs,
    policy.keepLast,
    policy.keepHourly,
    policy.keepDaily,
    policy.keepWeekly,
    policy.keepMonthly,
  ]
  const limited = rules.some((rule) => rule !== undefined)
  for (const state of states) {
    if (!isFine(files, states, state, policy, now)) continue
    const age = now - timeOfState(files, state)
    if (!limited) wanted.add(state)
    else if (policy.keepForMs !== undefined && age <= policy.keepForMs) wanted.add(state)
  }
  if (policy.keepForMs !== undefined) {
    const start = now - policy.keepForMs
    const before = states.filter((state) => timeOfState(files, state) <= start)
    if (before.length > 0) wanted.add(before.at(-1) as bigint)
  }
  if (policy.keepLast !== undefined) {
    const snapshots = states.filter((state) =>
      files.some((file) => file.level === 9 && file.maxTxid === state),
    )
    for (let i = 0; i < policy.keepLast; i++) {
      const state = snapshots.pop()
      if (state !== undefined) wanted.add(state)
    }
  }
  const periods: [number | undefined, (date: Date) => string][] = [
    [policy.keepHourly, (date) => date.toISOString().slice(0, 13)],
    [policy.keepDaily, (date) => date.toISOString().slice(0, 10)],
    [policy.keepWeekly, isoWeek],
    [policy.keepMonthly, (date) => date.toISOString().slice(0, 7)],
  ]
  for (const [count, nameOf] of periods) {
    if (count === undefined) continue
    const dates = states.map((state) => new Date(timeOfState(files, state)))
    const found = [...new Set(dates.map(nameOf))].sort().reverse().slice(0, count)
    for (const name of found) {
      wanted.add(states[dates.findLastIndex((date) => nameOf(date) === name)] as bigint)
    }
  }
  return wanted
}

function isFine(
  files: readonly LtxFileInfo[],
  states: readonly bigint[],
  state: bigint,
  policy: RetentionPolicy,
  now: number,
): boolean {
  const own = Math.max(...files.filter((f) => f.maxTxid === state).map((f) => f.level))
  const coarser = files
    .filter((f) => f.level > own && f.level < 9 && states.includes(f.maxTxid))
    .filter((f) => f.minTxid <= state && state < f.maxTxid)
    .map((f) => f.level)
  if (coarser.length === 0) return true
  const level = Math.min(...coarser) - 1
  if (policy.levelKeepMs[level] === undefined) return true
  const age = now - timeOfState(files, state)
  return policy.levelKeepMs.some((keep, i) => i <= level && age <= keep)
}

/** `2026-W01`, by the rule that a week belongs to the year of its Thursday. */
function isoWeek(date: Date): string {
  const thursday = new Date(date)
  const weekday = (date.getUTCDay() + 6) % 7
  thursday.setUTCDate(date.getUTCDate() - weekday + 3)
  const year = thursday.getUTCFullYear()
  const dayOfYear = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000)
  return `${year}-W${String(Math.floor(dayOfYear / 7) + 1).padStart(2, '0')}`
}
