import { describe, expect, it } from 'vitest'
import { Limiter } from '../../../src/core/async/limiter.ts'
import { PeriodicWork } from '../../../src/core/async/periodic-work.ts'
import { NEVER } from '../../../src/core/async/schedule.ts'

const HOUR = 3_600_000
const NOW = 1000 * HOUR
const { signal } = new AbortController()

function periodic(
  options: { readonly intervalMs?: number; readonly lastRunAt?: number },
  work: () => Promise<void> = async () => undefined,
) {
  const failures: number[] = []
  const options_ = { intervalMs: HOUR, limiter: new Limiter(1), ...options }
  const made = new PeriodicWork(options_, work, (_error, retryInMs) => failures.push(retryInMs))
  return { made, failures }
}

describe('PeriodicWork', () => {
  it.each([
    ['an interval after the first question', {}, NOW + HOUR],
    ['never without an interval', { intervalMs: 0 }, NEVER],
    [
      'an interval after the last run of an earlier process',
      { lastRunAt: NOW - HOUR / 2 },
      NOW + HOUR / 2,
    ],
    ['soon where that time is over', { lastRunAt: NOW - 5 * HOUR }, NOW + 30_000],
    [
      'within the interval where the clock was ahead then',
      { lastRunAt: NOW + 9 * HOUR },
      NOW + HOUR,
    ],
    ['not later than its interval', { intervalMs: 50, lastRunAt: 0 }, NOW + 50],
  ])('is first due %s', (_, options, expected) => {
    expect(periodic(options).made.dueAt(NOW)).toBe(expected)
  })

  it('is tried again within five minutes when it could not be done', async () => {
    const { made, failures } = periodic({}, () => Promise.reject(new Error('no')))
    await made.run(NOW, signal)
    expect(failures).toEqual([300_000])
    expect(made.dueAt(NOW)).toBeGreaterThanOrEqual(NOW + 300_000)
    expect(made.dueAt(NOW)).toBeLessThan(NOW + HOUR)
  })

  it('is never due, and is not begun again, while it runs', async () => {
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const { made } = periodic({}, async () => {
      runs += 1
      await gate.promise
    })
    const running = made.run(NOW, signal)
    expect(made.dueAt(NOW + 9 * HOUR)).toBe(NEVER)
    await made.run(NOW, signal)
    gate.resolve()
    await running
    expect(runs).toBe(1)
    expect(made.dueAt(NOW)).toBeGreaterThanOrEqual(NOW + HOUR)
  })

  it('does not begin when it is ended while it waits for its turn', async () => {
    const limiter = new Limiter(1)
    const gate = Promise.withResolvers<void>()
    const other = limiter.run(() => gate.promise)
    const controller = new AbortController()
    let runs = 0
    const work = new PeriodicWork(
      { intervalMs: HOUR, limiter },
      async () => {
        runs += 1
      },
      () => undefined,
    )
    const running = work.run(NOW, controller.signal)
    const reason = new Error('enough')
    controller.abort(reason)
    gate.resolve()
    await other
    await expect(running).rejects.toBe(reason)
    expect(runs).toBe(0)
  })
})
