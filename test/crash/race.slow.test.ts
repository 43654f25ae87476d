import { expect, it } from 'vitest'
import { runRaces } from './race-run.ts'

const RACES = 8

it(`${RACES} races of watchers that are paused and killed: one is left, and every acknowledged state is of one history`, async () => {
  const report = await runRaces({ races: RACES, racesPerRound: 4, parallel: 2 })
  expect(report.problems).toEqual([])
  expect(report.races).toBe(RACES)
  expect(report.fenced).toBeGreaterThan(RACES / 4)
  expect(report.tookOver).toBeGreaterThan(RACES / 4)
  expect(report.pauses).toBeGreaterThan(RACES / 2)
  expect(report.restores).toBeGreaterThan(RACES)
  expect(report.acknowledged).toBeGreaterThan(RACES)
  expect(report.commits).toBeGreaterThan(100)
}, 300_000)
