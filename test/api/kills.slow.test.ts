import { expect, it } from 'vitest'
import { killAfterWait } from './kills-after-wait.ts'

/** The full run: WALSYNC_KILLS=100. */
const KILLS = Number(process.env.WALSYNC_KILLS ?? 12)

it('nothing that wait() called safe is missing after kills of the application and of walsync', async () => {
  const report = await killAfterWait(KILLS)
  expect(report.missing).toEqual([])
  expect(report.kills).toBe(KILLS)
  expect(report.safe).toBeGreaterThanOrEqual(KILLS)
  expect(report.lostDisks).toBe(Math.floor(KILLS / 3))
}, 900_000)
