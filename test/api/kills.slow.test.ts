import { expect, it } from 'vitest'
import { killsOf } from '../support/kill-after-wait.ts'
import { killAppThatWaits } from './kill-app-that-waits.ts'

const KILLS = killsOf(12)

it('nothing that wait() called safe is missing after kills of the application and of walsync', async () => {
  const report = await killAppThatWaits(KILLS)
  expect(report.missing).toEqual([])
  expect(report.kills).toBe(KILLS)
  expect(report.safe).toBeGreaterThanOrEqual(KILLS)
  expect(report.lostDisks).toBe(Math.floor(KILLS / 3))
}, 900_000)
