import { describe, expect, it } from 'vitest'
import { circumstancesOf, reportOf } from '../../bench/kit/report.ts'
import { figuresOf, quantile, type Row, tableOf } from '../../bench/kit/table.ts'

const LAG: Row = {
  work: 'single commits',
  figure: 'lag p50',
  unit: 'ms',
  samples: { walsync: [4, 8, 6], litestream: [500, 600] },
  limit: { what: 'one PUT', samples: [3] },
  target: 8,
}
const SPEED: Row = {
  work: 'full speed',
  figure: "writer's speed",
  unit: '×',
  samples: { walsync: [0.9], litestream: 'failed' },
  target: 0.95,
  better: 'more',
}

describe('the figures of a row', () => {
  it('are medians, ratios to Litestream and to the limit, and whether the target is reached', () => {
    expect(figuresOf(LAG)).toEqual({
      values: { walsync: 6, litestream: 550 },
      limit: 3,
      toLitestream: 6 / 550,
      toLimit: 2,
      reached: true,
    })
  })

  it('can be another quantile', () => {
    expect(figuresOf({ ...LAG, quantile: 1 })).toMatchObject({ values: { walsync: 8 }, limit: 3 })
    expect(quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 0.9)).toBe(10)
    expect(quantile([], 0.5)).toBeUndefined()
  })

  it('lack what was not measured, and a target may be a lower bound', () => {
    expect(figuresOf(SPEED)).toEqual({
      values: { walsync: 0.9, litestream: undefined },
      limit: undefined,
      toLitestream: undefined,
      toLimit: undefined,
      reached: false,
    })
    expect(figuresOf({ ...SPEED, samples: { walsync: [0.97] } }).reached).toBe(true)
  })
})

describe('the table', () => {
  it('has a column for each program, and says what is missing', () => {
    expect(tableOf([LAG, SPEED], ['walsync', 'before', 'litestream'])).toBe(
      `
| work           | figure         | walsync | before | litestream | limit          | to Litestream | to limit | target | reached |
|----------------|----------------|---------|--------|------------|----------------|---------------|----------|--------|---------|
| single commits | lag p50        | 6 ms    | –      | 550 ms     | 3 ms (one PUT) | 0.0109        | 2        | ≤ 8 ms | yes     |
| full speed     | writer's speed | 0.9     | –      | failed     | –              | –             | –        | ≥ 0.95 | **no**  |
`.trim(),
    )
  })

  it('has no ratio to Litestream where that is not installed', () => {
    const table = tableOf([{ ...LAG, samples: { walsync: [1234.5] } }], ['walsync'])
    expect(table).not.toContain('Litestream')
    expect(table).toContain('| 1,235 ms |')
  })
})

it('the report of a run holds the machine, versions, load and every sample, as JSON', () => {
  const report = reportOf({
    startedAt: new Date('2026-11-29T12:00:00Z'),
    quick: true,
    programs: [],
    sections: [
      { name: 'lag', seconds: 1, loadAtStart: 0.1, loadAtEnd: 0.2 },
      { name: 'fleet', seconds: 1, loadAtStart: 0.2, loadAtEnd: 0.2, error: 'no disk' },
    ],
    rows: [LAG, SPEED],
  })
  expect(JSON.parse(JSON.stringify(report))).toMatchObject({
    version: 1,
    startedAt: '2026-11-29T12:00:00.000Z',
    machine: { cpus: expect.any(Number), node: process.versions.node },
    load: { start: 0.1, end: expect.any(Number) },
    rows: [
      { samples: { walsync: [4, 8, 6] }, figures: { values: { walsync: 6 } } },
      { samples: { litestream: 'failed' }, figures: { reached: false } },
    ],
  })
  const text = circumstancesOf(report)
  expect(text).toContain('A quick run')
  expect(text).toContain('The section fleet failed: no disk')
})
