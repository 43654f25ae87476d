import { describe, expect, it } from 'vitest'
import { TokenBucket } from '../../../src/core/async/token-bucket.ts'

/** Objects shipped for commits at these times: each commit waits for a credit, and one object takes all that wait. */
function shipped(commits: readonly number[], intervalMs: number, burst: number): number[] {
  const bucket = new TokenBucket(intervalMs, burst)
  const objects: number[] = []
  for (const commit of commits) {
    const last = objects.at(-1)
    if (last !== undefined && last >= commit) continue
    const at = commit + bucket.untilCredit(commit)
    bucket.spend(at)
    objects.push(at)
  }
  return objects
}

const every = (ms: number, forMs: number) =>
  Array.from({ length: Math.floor(forMs / ms) }, (_, i) => i * ms)

describe('a token bucket', () => {
  it.each([
    [2000, 300],
    [1000, 600],
  ])('ships each of the commits that come every %d ms at once', (ms, count) => {
    const commits = every(ms, 600_000)
    expect(shipped(commits, 1000, 10)).toEqual(commits)
    expect(commits).toHaveLength(count)
  })

  it.each([500, 100, 10])('falls back to one object an interval for commits every %d ms', (ms) => {
    const objects = shipped(every(ms, 600_000), 1000, 10)
    expect(objects.length).toBeGreaterThan(590)
    expect(objects.length).toBeLessThanOrEqual(610)
    const late = objects.filter((at) => at >= 300_000)
    expect(late.length).toBeLessThanOrEqual(301)
  })

  it('saves up no more than its burst', () => {
    const burst = every(20, 400).map((at) => at + 3_600_000)
    expect(shipped([0, ...burst], 1000, 10).filter((at) => at < 3_600_300)).toHaveLength(11)
  })

  it('behaves as a plain interval with a burst of one', () => {
    expect(shipped([0, 500, 900, 5000], 1000, 1)).toEqual([0, 1000, 5000])
  })

  it('survives a clock that is set back', () => {
    const bucket = new TokenBucket(1000, 2)
    bucket.spend(10_000)
    bucket.spend(10_000)
    expect(bucket.untilCredit(10_000)).toBe(1000)
    expect(bucket.untilCredit(5000)).toBe(1000)
    expect(bucket.untilCredit(6000)).toBe(0)
  })
})
