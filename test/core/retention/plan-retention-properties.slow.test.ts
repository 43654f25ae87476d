import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lastTxid } from '../../../src/core/restore/reachable-states.ts'
import { planRestore } from '../../../src/core/restore/restore-plan.ts'
import { planRetention } from '../../../src/core/retention/plan-retention.ts'
import type { RetentionPolicy } from '../../../src/core/retention/retention-policy.ts'
import { DAY, HOUR, listed, MINUTE, names, START } from './listing.ts'
import { reachable, wantedStates } from './retention-oracle.ts'

/** Times that fall together, run backwards, and lie on both sides of every kind of period. */
const time = fc
  .oneof(
    fc.integer({ min: 0, max: 12 }).map((n) => n * 20 * MINUTE),
    fc.integer({ min: 0, max: 12 }).map((n) => n * 12 * HOUR),
    fc.integer({ min: 0, max: 12 }).map((n) => n * 6 * DAY),
    fc.nat(90 * DAY),
  )
  .map((offset) => START + offset)

const facts = fc.record({
  size: fc.constantFrom(200, 1000, 70_000, 500_000),
  createdAt: fc.option(time, { nil: undefined }),
  lastModified: time,
})

/** Any file of any level. */
const anyFile = fc
  .tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 14 }), fc.nat(6), facts)
  .map(([level, min, length, known]) => listed(level, min, min + length, known))

/** A base, level-0 files behind it, and whatever else: most of it can be restored. */
const replica = fc
  .tuple(
    fc.tuple(fc.constantFrom(0, 9), fc.integer({ min: 1, max: 3 }), facts),
    fc.array(facts, { maxLength: 10 }),
    fc.array(anyFile, { maxLength: 10 }),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 14 }), facts), { maxLength: 3 }),
    fc.oneof(
      fc.constant<number[]>([]),
      fc.constant<number[]>([]),
      fc.array(fc.nat(25), { maxLength: 2 }),
    ),
  )
  .map(([[level, end, known], tail, others, snapshots, lost]) => {
    const files = [
      listed(level, 1, end, known),
      ...tail.map((own, i) => listed(0, end + 1 + i, end + 1 + i, own)),
      ...others,
      ...snapshots.map(([max, own]) => listed(9, 1, max, own)),
    ]
    const byKey = new Map(files.map((file) => [file.key, file]))
    return [...byKey.values()].filter((_, i) => !lost.includes(i))
  })

const span = fc.constantFrom(0, MINUTE, 30 * MINUTE, 5 * HOUR, DAY, 10 * DAY, 60 * DAY)
const count = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined })
const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  levelKeepMs: fc.array(span, { maxLength: 9 }),
  keepForMs: fc.option(span, { nil: undefined }),
  keepLast: count,
  keepHourly: count,
  keepDaily: count,
  keepWeekly: count,
  keepMonthly: count,
  minObjectAgeMs: fc.constantFrom(0, MINUTE, HOUR, 3 * DAY),
})

const now = time.map((at) => at + 3 * DAY)
const bits = fc.array(fc.boolean(), { minLength: 40, maxLength: 40 })

describe('planRetention on any set of files', () => {
  it('keeps what the policy wants restorable, whatever part of the rest is deleted, and finds no more to do', () => {
    let removing = 0
    let blocked = 0
    void fc.assert(
      fc.property(replica, policy, now, bits, (files, rules, at, chosen) => {
        const plan = planRetention(files, rules, at)
        expect(new Set([...plan.keep, ...plan.remove])).toEqual(new Set(files))
        expect(plan.keep.length + plan.remove.length).toBe(files.length)
        const states = reachable(files)
        const newest = lastTxid(files)
        if (plan.blocked !== undefined) {
          blocked++
          expect(plan.remove).toEqual([])
          expect(states.has(newest)).toBe(false)
          return
        }
        if (plan.remove.length > 0) removing++
        const wanted = wantedStates(files, rules, at)
        expect(files.length === 0 || wanted.has(newest)).toBe(true)
        const left = reachable(plan.keep)
        const interrupted = reachable([...plan.keep, ...plan.remove.filter((_, i) => chosen[i])])
        expect([...wanted].filter((state) => !left.has(state))).toEqual([])
        expect([...wanted].filter((state) => !interrupted.has(state))).toEqual([])
        expect(names(planRetention(plan.keep, rules, at).remove)).toEqual([])
        const points = plan.restorePoints.map(({ txid }) => txid)
        expect(points).toEqual([...left].sort((a, b) => (a < b ? -1 : 1)))
      }),
      { numRuns: 9000 },
    )
    expect(removing).toBeGreaterThan(2200)
    expect(blocked).toBeGreaterThan(700)
  })

  it('keeps the very files by which a wanted state is restored now', () => {
    void fc.assert(
      fc.property(replica, policy, now, (files, rules, at) => {
        const plan = planRetention(files, rules, at)
        const kept = new Set(plan.keep)
        for (const { txid, why } of plan.restorePoints) {
          if (why.length === 0) continue
          const chain = planRestore(files, { kind: 'txid', txid }).files
          expect(chain.every((file) => kept.has(file))).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('names the time at which more becomes removable, unless something changes', () => {
    let later = 0
    void fc.assert(
      fc.property(replica, policy, now, fc.nat(100 * DAY), (files, rules, at, passed) => {
        const plan = planRetention(files, rules, at)
        const next = planRetention(plan.keep, rules, at).nextAt ?? Number.POSITIVE_INFINITY
        const then = Math.min(at + passed, next - 1)
        expect(names(planRetention(plan.keep, rules, then).remove)).toEqual([])
        if (then > at) later++
      }),
      { numRuns: 2500 },
    )
    expect(later).toBeGreaterThan(500)
  })
})
