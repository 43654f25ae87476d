import { expect, it } from 'vitest'
import { ENDS, runDeploys } from './deploy-run.ts'

const DEPLOYS = 8

it(`${DEPLOYS} deploys on one volume, some of which fail: no commit is missing, no application is ended`, async () => {
  const report = await runDeploys({ deploys: DEPLOYS })
  expect(report.problems).toEqual([])
  expect(report.deploys).toBe(DEPLOYS)
  for (const end of ENDS) expect(report.ends[end], end).toBeGreaterThan(0)
  const { clean, killed } = report.ends
  expect([report.gapsAfterClean.length, report.gapsAfterKill.length]).toEqual([clean, killed])
  expect(report.pauses).toBeGreaterThan(0)
  expect(report.commits).toBeGreaterThan(50)
}, 300_000)
