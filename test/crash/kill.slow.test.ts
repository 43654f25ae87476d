import { expect, it } from 'vitest'
import { runKills } from './kill-run.ts'

const KILLS = 40

it(`${KILLS} kills of watcher and writer: every restore is a valid prefix, the last equals the source`, async () => {
  const report = await runKills({ kills: KILLS, killsPerRound: 20 })
  expect(report.problems).toEqual([])
  expect(report.kills).toBe(KILLS)
  expect(report.watcherKills).toBeGreaterThan(KILLS / 3)
  expect(report.writerKills).toBeGreaterThan(0)
  expect(report.restores).toBeGreaterThan(KILLS / 6)
  expect(report.resumed).toBeGreaterThan(0)
  expect(report.rows).toBeGreaterThan(100)
}, 600_000)
