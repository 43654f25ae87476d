import { describe, expect, it } from 'vitest'
import { txid } from '../../../src/core/ltx/index.ts'
import type { LtxFileInfo } from '../../../src/core/replica/replica-client.ts'
import {
  planRetention,
  type RetentionOptions,
  type RetentionPlan,
} from '../../../src/core/retention/plan-retention.ts'
import {
  DEFAULT_RETENTION,
  periodOf,
  type RetentionPolicy,
} from '../../../src/core/retention/retention-policy.ts'
import { DAY, fileAt, HOUR, listed, MINUTE, names, SECOND, START } from './listing.ts'

const POLICY: RetentionPolicy = { ...DEFAULT_RETENTION, minObjectAgeMs: 0 }
const base = fileAt(9, 1, 1, START, 10_000)

/** Level-0 files, one a minute, of the TXIDs from `first` to `last`; TXID n is of minute n. */
function minutes(first: number, last: number): LtxFileInfo[] {
  const files: LtxFileInfo[] = []
  for (let n = first; n <= last; n++) files.push(fileAt(0, n, n, minute(n)))
  return files
}

function minute(n: number): number {
  return START + n * MINUTE
}

function removed(
  files: readonly LtxFileInfo[],
  policy: Partial<RetentionPolicy>,
  now: number,
  options?: RetentionOptions,
): string[] {
  return names(planRetention(files, { ...POLICY, ...policy }, now, options).remove)
}

function txids({ restorePoints }: RetentionPlan, why?: string): number[] {
  return restorePoints
    .filter((p) => !why || p.why.includes(why as never))
    .map((p) => Number(p.txid))
}

describe('granularity', () => {
  const files = [base, ...minutes(2, 6), fileAt(1, 2, 5, minute(5))]

  it('drops a restore point when a coarser file contains it and the time of its level is over', () => {
    expect(removed(files, {}, minute(9))).toEqual(['0:5-5'])
    expect(removed(files, {}, minute(9) + 1)).toEqual(['0:2-2', '0:3-3', '0:4-4', '0:5-5'])
    expect(planRetention(files, POLICY, minute(9)).nextAt).toBe(minute(9) + 1)
  })

  it('keeps the files that lead to a point that is kept', () => {
    const plan = planRetention(files, POLICY, minute(7) + 1)
    expect(txids(plan, 'fine')).toEqual([1, 3, 4, 5, 6])
    expect(names(plan.remove)).toEqual(['0:5-5'])
  })

  it('never drops a restore point that no coarser file contains, nor for a snapshot', () => {
    const alone = [base, ...minutes(2, 6), fileAt(9, 1, 6, minute(6), 10_000)]
    const plan = planRetention(alone, POLICY, minute(6) + 365 * DAY)
    expect(txids(plan, 'fine')).toEqual([1, 2, 3, 4, 5, 6])
    expect(plan.nextAt).toBeUndefined()
  })

  it('counts the first coarser level: what one level has skipped is as coarse as its files', () => {
    const skipped = [base, ...minutes(2, 6), fileAt(2, 2, 5, minute(5))]
    expect(removed(skipped, {}, minute(4) + DAY)).toEqual(['0:5-5'])
    expect(removed(skipped, {}, minute(4) + DAY + 1)).toHaveLength(4)
  })

  it('never keeps a coarse point for less than a fine one', () => {
    const coarse = [base, ...minutes(2, 6), fileAt(2, 2, 5, minute(5))]
    const policy = { levelKeepMs: [HOUR, MINUTE] }
    expect(removed(coarse, policy, minute(4) + HOUR)).toEqual(['0:5-5'])
    expect(removed(coarse, policy, minute(4) + HOUR + 1)).toHaveLength(4)
  })

  it('thins a day out to what each level keeps', () => {
    const files = [base, ...minutes(2, 1440)]
    for (let n = 2; n <= 1431; n += 10) files.push(fileAt(1, n, n + 9, minute(n + 9)))
    for (let n = 2; n < 1400; n += 100) files.push(fileAt(2, n, n + 99, minute(n + 99)))
    const policy = { ...POLICY, levelKeepMs: [HOUR, 6 * HOUR] }
    const plan = planRetention(files, policy, minute(1440))
    expect(txids(plan, 'fine').filter((n) => n >= 1380)).toHaveLength(61)
    expect(txids(plan, 'fine').filter((n) => n >= 1080 && n < 1380)).toHaveLength(30)
    expect(txids(plan, 'fine').filter((n) => n > 1 && n < 1080)).toHaveLength(10)
    expect(plan.keep.length).toBeLessThan(180)
    expect(plan.remove.length).toBeGreaterThan(1400)
  })
})

describe('reach', () => {
  const days = [base]
  for (let n = 2; n <= 40; n++) days.push(fileAt(3, n, n, START + n * DAY - HOUR))
  const now = START + 40 * DAY

  it('keeps everything without a rule', () => {
    expect(removed(days, {}, now)).toEqual([])
  })

  it('keep-for: every point of the time, and the state at its beginning', () => {
    const plan = planRetention(days, { ...POLICY, keepForMs: 10 * DAY }, now)
    expect(txids(plan, 'keep-for')).toEqual([31, 32, 33, 34, 35, 36, 37, 38, 39, 40])
    expect(txids(plan, 'window-start')).toEqual([30])
    expect(txids(plan, 'newest')).toEqual([40])
  })

  it('deletes everything before the snapshot from which the oldest kept restore point is restored', () => {
    const snapshots = [20, 29].map((n) => fileAt(9, 1, n, START + n * DAY - HOUR, 2000))
    const plan = planRetention([...days, ...snapshots], { ...POLICY, keepForMs: 10 * DAY }, now)
    expect(names(plan.keep)[0]).toBe('3:30-30')
    expect(names(plan.remove)).toContain('9:1-20')
    expect(names(plan.remove)).toContain('9:1-1')
  })

  it('keep-last: the newest snapshots, each by its own file', () => {
    const snapshots = [20, 29, 35].map((n) => fileAt(9, 1, n, START + n * DAY - HOUR, 5_000_000))
    const plan = planRetention([...days, ...snapshots], { ...POLICY, keepLast: 2 }, now)
    expect(txids(plan, 'keep-last')).toEqual([29, 35])
    expect(names(plan.keep).filter((name) => name.startsWith('9:'))).toEqual([
      '9:1-1',
      '9:1-29',
      '9:1-35',
    ])
  })

  it('keep-daily, -weekly, -monthly: the newest point of each of the last that have one', () => {
    const gappy = days.filter(({ maxTxid }) => maxTxid !== 38n)
    const joined = [...gappy, fileAt(3, 38, 39, START + 39 * DAY - HOUR)]
    const plan = planRetention(
      joined,
      { ...POLICY, keepDaily: 3, keepWeekly: 3, keepMonthly: 5 },
      now,
    )
    expect(txids(plan, 'keep-daily')).toEqual([37, 39, 40])
    // 2026-01-01 was a Thursday: the Sundays are the days 4, 11, 18 and so on.
    expect(txids(plan, 'keep-weekly')).toEqual([32, 39, 40])
    expect(txids(plan, 'keep-monthly')).toEqual([31, 40])
  })

  it('keep-hourly chooses before granularity does', () => {
    const files = [base, ...minutes(2, 299), fileAt(1, 2, 299, minute(299))]
    const plan = planRetention(files, { ...POLICY, keepHourly: 3 }, minute(400))
    expect(txids(plan, 'keep-hourly')).toEqual([179, 239, 299])
  })
})

describe('what never goes', () => {
  const files = [base, ...minutes(2, 9), fileAt(1, 2, 9, minute(9))]
  const now = minute(60)

  it('the newest level-0 file, because it says where in the WAL replication continues', () => {
    expect(removed(files, {}, now)).not.toContain('0:9-9')
    expect(removed(files, {}, now)).toContain('0:8-8')
  })

  it('slots that fence a paused writer', () => {
    const options = { protectedSlots: [txid(5), txid(7)] }
    expect(removed(files, {}, now, options)).toEqual(['0:2-2', '0:3-3', '0:4-4', '0:6-6', '0:8-8'])
  })

  it.each([
    ['its base is missing', files.slice(1)],
    ['a file in the middle is missing', [...files, ...minutes(12, 13)]],
  ])('anything, where %s', (_, broken) => {
    const plan = planRetention(broken, { ...POLICY, keepLast: 1 }, now + 1000 * DAY)
    expect(plan).toMatchObject({ blocked: 'gap', keep: broken, remove: [], nextAt: undefined })
  })

  it('an empty replica needs nothing', () => {
    expect(planRetention([], POLICY, now)).toEqual({
      keep: [],
      remove: [],
      restorePoints: [],
      blocked: undefined,
      nextAt: undefined,
    })
  })
})

describe('damaged objects', () => {
  const files = [base, ...minutes(2, 9), fileAt(1, 2, 5, minute(5)), fileAt(1, 6, 9, minute(9))]
  const damaged = new Set([fileAt(1, 6, 9, 0).key])
  const now = minute(60)

  it('do not count: what other files provide stays restorable without them', () => {
    expect(removed(files, {}, now)).toContain('0:7-7')
    expect(removed(files, {}, now, { damaged })).toEqual(['0:2-2', '0:3-3', '0:4-4', '0:5-5'])
  })

  it('block everything where the newest state needs one', () => {
    const thinned = files.filter(({ level, maxTxid }) => level !== 0 || maxTxid === 9n)
    expect(planRetention(thinned, POLICY, now, { damaged })).toMatchObject({
      blocked: 'damaged',
      remove: [],
    })
  })

  it('do not cause the deletion of files that only they connect, after a repair', () => {
    const repaired = [
      ...files.filter(({ maxTxid, level }) => level !== 0 || maxTxid > 7n),
      fileAt(9, 1, 10, minute(10), 20_000),
    ]
    expect(removed(repaired, { keepLast: 1 }, now)).toContain('1:6-9')
    const kept = names(planRetention(repaired, { ...POLICY, keepLast: 1 }, now, { damaged }).keep)
    expect(kept).toEqual(expect.arrayContaining(['0:8-8', '0:9-9', '1:6-9', '9:1-10']))
  })
})

describe('the grace period', () => {
  const minObjectAgeMs = 10 * MINUTE
  const old = [base, ...minutes(2, 9)]

  it('keeps what is young itself', () => {
    const files = [
      base,
      ...minutes(2, 4),
      listed(1, 2, 4, { createdAt: minute(4), lastModified: minute(30) }),
    ]
    const young = { keepLast: 1, minObjectAgeMs, levelKeepMs: [0] }
    expect(removed(files, young, minute(40) - 1)).toEqual([])
    expect(planRetention(files, { ...POLICY, ...young }, minute(39)).nextAt).toBe(minute(40))
    expect(removed(files, young, minute(40))).toEqual(['0:2-2', '0:3-3'])
  })

  it('keeps what a young file superseded, for restores that began before', () => {
    const merged = listed(1, 2, 8, { createdAt: minute(8), lastModified: minute(100) })
    expect(removed([...old, merged], { minObjectAgeMs }, minute(109))).toEqual([])
    expect(removed([...old, merged], { minObjectAgeMs }, minute(110))).toHaveLength(7)
  })

  it('keeps the chain that a young snapshot replaced', () => {
    const snapshot = listed(9, 1, 9, { size: 500, createdAt: minute(9), lastModified: minute(100) })
    expect(removed([...old, snapshot], { minObjectAgeMs, keepLast: 1 }, minute(109))).toEqual([])
    expect(removed([...old, snapshot], { minObjectAgeMs, keepLast: 1 }, minute(110))).toHaveLength(
      8,
    )
  })
})

it('plans 4,000 files with 3,000 points', () => {
  const files = [base]
  for (let n = 2; n <= 3000; n++) files.push(fileAt(0, n, n, START + n * SECOND))
  for (let n = 2; n <= 2999; n += 3) {
    files.push(fileAt(1, n, n + 2, START + (n + 2) * SECOND, 2000))
  }
  const policy = { ...POLICY, keepForMs: 7 * DAY, keepHourly: 24, keepDaily: 30, keepMonthly: 12 }
  const plan = planRetention(files, policy, START + DAY)
  expect(plan.restorePoints.length).toBeGreaterThan(990)
  expect(plan.remove.length).toBeGreaterThan(1900)
})

describe('periodOf', () => {
  it.each([
    ['weekly', '2025-12-28T23:59:59.999Z', '2025-12-29T00:00:00Z', 1],
    ['weekly', '2025-12-29T00:00:00Z', '2026-01-04T23:59:59.999Z', 0],
    ['weekly', '1969-12-28T23:59:59Z', '1969-12-29T00:00:00Z', 1],
    ['monthly', '2025-12-31T23:59:59.999Z', '2026-01-01T00:00:00Z', 1],
    ['monthly', '2024-02-01T00:00:00Z', '2024-02-29T23:59:59.999Z', 0],
    ['daily', '2026-01-01T23:59:59.999Z', '2026-01-02T00:00:00Z', 1],
    ['hourly', '2026-01-01T00:59:59.999Z', '2026-01-01T01:00:00Z', 1],
  ] as const)('%s: from %s to %s are %d', (kind, from, to, steps) => {
    expect(periodOf(kind, Date.parse(to)) - periodOf(kind, Date.parse(from))).toBe(steps)
  })
})
