import { expect, it } from 'vitest'
import { BUILT_CLI } from '../support/built-cli.ts'
import { OUTCOMES, runBoots } from './boot-run.ts'

const ORDERS = 2

it(`${ORDERS} random orders of boots after losses and damage: each starts with the right rows, or refuses`, async () => {
  const report = await runBoots({ orders: ORDERS, bin: BUILT_CLI })
  expect(report.problems).toEqual([])
  expect(report.orders).toBe(ORDERS)
  expect(report.boots).toBe(ORDERS * 8)
  for (const outcome of OUTCOMES)
    expect(report.outcomes[outcome], outcome).toBeGreaterThanOrEqual(ORDERS)
}, 300_000)
