import { expect, it } from 'vitest'
import { saidStopLimitMs, stopLimitMs } from '../../src/api/stop-limit.ts'

it.each([
  [[], {}, 40_000],
  [['--shutdown-timeout', '2s'], {}, 12_000],
  [['--shutdown-timeout', '2s', '--shutdown-timeout=1m'], {}, 70_000],
  [[], { WALSYNC_SHUTDOWN_TIMEOUT: '500ms' }, 10_500],
  [['--shutdown-timeout', '5'], { WALSYNC_SHUTDOWN_TIMEOUT: '500ms' }, 15_000],
  [['--shutdown-timeout', 'soon'], {}, 40_000],
])('a process started with %j in the environment %j may take %i ms to end', (args, env, limit) => {
  expect(stopLimitMs(args, env)).toBe(limit)
})

it('a process that has said its shutdown timeout is held to that', () => {
  expect(saidStopLimitMs({ shutdownTimeoutMs: 1500 })).toBe(11_500)
  expect(saidStopLimitMs({ pid: 1 })).toBeUndefined()
})
