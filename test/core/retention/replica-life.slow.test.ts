import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RetentionPolicy } from '../../../src/core/retention/retention-policy.ts'
import { DAY, HOUR, MINUTE, SECOND } from './listing.ts'
import { ReplicaModel } from './replica-model.ts'
import { reachable, wantedStates } from './retention-oracle.ts'

type Act =
  | { readonly kind: 'commits'; readonly gaps: readonly number[]; readonly bytes: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'compact' }
  | { readonly kind: 'snapshot' }
  | { readonly kind: 'prune'; readonly chosen: readonly boolean[] }
  | { readonly kind: 'restore'; readonly nth: number }

const gap = fc.oneof(
  fc.integer({ min: 1, max: 3 * SECOND }),
  fc.integer({ min: SECOND, max: 2 * MINUTE }),
)
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('commits' as const),
      gaps: fc.array(gap, { minLength: 1, maxLength: 8 }),
      bytes: fc.constantFrom(300, 5000, 200_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.oneof(
        fc.nat(MINUTE),
        fc.constantFrom(30 * SECOND, 5 * MINUTE, HOUR),
        fc.nat(3 * HOUR),
        fc.nat(3 * DAY),
      ),
    }),
  },
  { weight: 4, arbitrary: fc.constant<Act>({ kind: 'compact' }) },
  { weight: 1, arbitrary: fc.constant<Act>({ kind: 'snapshot' }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('prune' as const),
      chosen: fc.oneof(fc.constant([true]), fc.array(fc.boolean(), { minLength: 1, maxLength: 5 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('restore' as const), nth: fc.nat(30) }),
  },
)

const LEVELS = [[30 * SECOND, 5 * MINUTE, HOUR], [MINUTE, HOUR], [10 * SECOND], []]
const count = fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined })
const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  levelKeepMs: fc.constantFrom(
    [5 * MINUTE, DAY, 7 * DAY],
    [0, 10 * MINUTE],
    [MINUTE],
    [],
    [0, 0, 0],
  ),
  keepForMs: fc.option(fc.constantFrom(MINUTE, HOUR, 2 * DAY), { nil: undefined }),
  keepLast: count,
  keepHourly: count,
  keepDaily: count,
  keepWeekly: count,
  keepMonthly: fc.constant(undefined),
  minObjectAgeMs: fc.constantFrom(0, MINUTE, 5 * MINUTE, HOUR),
})
const model = fc.record({
  levels: fc.constantFrom(...LEVELS),
  policy,
  timesListed: fc.boolean(),
  snapshotBytes: fc.constantFrom(2000, 100_000, 5_000_000),
})

describe('a replica that is written, compacted, pruned and restored from, in any order', () => {
  it('keeps what its policy promises, at every moment', () => {
    const seen = { merges: 0, removed: 0, restores: 0 }
    void fc.assert(
      fc.property(model, fc.array(act, { minLength: 5, maxLength: 40 }), (options, acts) => {
        const replica = new ReplicaModel(options)
        for (const act of acts) {
          if (act.kind === 'wait') replica.wait(act.ms)
          else if (act.kind === 'snapshot') replica.snapshot()
          else if (act.kind === 'restore') replica.restore(act.nth)
          else if (act.kind === 'commits') {
            for (const ms of act.gaps) {
              replica.wait(ms)
              replica.commit(act.bytes)
            }
          } else if (act.kind === 'compact') {
            const before = reachable(replica.files)
            const steps = replica.compact()
            seen.merges += steps.length
            expect(reachable(replica.files)).toEqual(before)
            expect(replica.compact()).toEqual([])
          } else {
            const before = replica.files
            const wanted = wantedStates(before, options.policy, replica.now)
            const plan = replica.prune((i) => act.chosen[i % act.chosen.length] as boolean)
            seen.removed += plan.remove.length
            expect(plan.blocked).toBeUndefined()
            const left = reachable(replica.files)
            expect([...wanted].filter((state) => !left.has(state))).toEqual([])
            seen.restores += checkRestores(replica, options.policy, wanted)
            checkPeriods(replica, options.policy, left)
            if (options.timesListed) checkSpacing(replica, options, left)
          }
        }
      }),
      { numRuns: 1500 },
    )
    expect(seen.merges).toBeGreaterThan(2000)
    expect(seen.removed).toBeGreaterThan(1500)
    expect(seen.restores).toBeGreaterThan(300)
  })
})

/** A restore finds all its files during the grace period. */
function checkRestores(
  replica: ReplicaModel,
  { minObjectAgeMs }: RetentionPolicy,
  wanted: ReadonlySet<bigint>,
): number {
  replica.restores = replica.restores.filter(({ begun }) => replica.now - begun < minObjectAgeMs)
  const there = new Set(replica.files)
  const running = replica.restores.filter(({ txid }) => wanted.has(txid))
  for (const { files } of running) {
    expect(files.filter((file) => !there.has(file)).map(({ key }) => key)).toEqual([])
  }
  return running.length
}

/** The last commit of each of the last days that had any, and of hours, can still be restored. */
function checkPeriods(
  replica: ReplicaModel,
  { keepDaily = 0, keepHourly = 0 }: RetentionPolicy,
  left: ReadonlySet<bigint>,
): void {
  for (const [count, length] of [
    [keepDaily, 10],
    [keepHourly, 13],
  ] as const) {
    const last = new Map<string, number>()
    replica.commits.forEach((time, i) => {
      last.set(new Date(time).toISOString().slice(0, length), i + 1)
    })
    const newest = [...last.values()].slice(count === 0 ? last.size : -count)
    expect(newest.filter((txid) => !left.has(BigInt(txid)))).toEqual([])
  }
}

/** A restore to a time gives a state no older than the spacing that the policy allows at that age. */
function checkSpacing(
  replica: ReplicaModel,
  { levels, policy }: { readonly levels: readonly number[]; readonly policy: RetentionPolicy },
  left: ReadonlySet<bigint>,
): void {
  const { keepForMs, levelKeepMs } = policy
  const limited = [policy.keepLast, policy.keepHourly, policy.keepDaily, policy.keepWeekly].some(
    (rule) => rule !== undefined,
  )
  const reachMs = keepForMs ?? (limited ? 0 : Number.POSITIVE_INFINITY)
  const states = [...left].map(Number)
  /** Last commit that level `level` ends a file with, before or at a time, if it is still kept for it. */
  const promised = (time: number, level: number): number => {
    const interval = levels[level - 1]
    const end = interval === undefined ? time : Math.floor(time / interval) * interval - 1
    const commit = replica.commitAt(end)
    const keepMs = level === levels.length ? undefined : levelKeepMs[level]
    const age = replica.now - (replica.commits[commit - 1] ?? replica.now)
    return keepMs === undefined || age <= keepMs ? commit : promised(time, level + 1)
  }
  for (const time of replica.commits.flatMap((at) => [at, at + 20 * SECOND, at + 10 * MINUTE])) {
    const age = replica.now - time
    if (age < 0 || age > reachMs) continue
    const given = Math.max(...states.filter((state) => state <= replica.commitAt(time)))
    expect(given).toBeGreaterThanOrEqual(promised(time, 0))
  }
}
