import { expect, it } from 'vitest'
import { runDeploys } from './deploy-run.ts'

const DEPLOYS = 8

it(`${DEPLOYS} deploys on one volume, some of which fail: no commit is missing, no application is ended`, async () => {
  const report = await runDeploys({ deploys: DEPLOYS })
  expect(report.problems).toEqual([])
  expect(report.deploys).toBe(DEPLOYS)
  expect(report.commits).toBeGreaterThan(50)
}, 300_000)
