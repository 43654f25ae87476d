import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { Monitor } from '../../../src/cli/monitor/monitor.ts'
import { FakeRun } from './fake-run.ts'

const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url))
const textOf = (path: string) => readFileSync(deploy + path, 'utf8')

/** Of Prometheus itself, or added by it to each series. */
const OF_PROMETHEUS = ['up']
const OF_TARGET = ['job', 'instance']

let monitor: Monitor
let metrics: string

beforeAll(async () => {
  const run = new FakeRun(100)
  const counts = {
    heartbeats: { success: 1, failure: 0 },
    webhook: { delivered: 1, failed: 0, dropped: 0 },
  }
  monitor = new Monitor(run.asRun(), '1.2.3', { counts })
  run.emit({ type: 'store-error', database: 'app', during: 'upload', error: 'x', retryInMs: 1 })
  metrics = await monitor.metrics.text()
})
afterAll(() => monitor.close())

function expressionsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(expressionsOf)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const isExpression = typeof inner === 'string' && (key === 'expr' || key === 'definition')
    return isExpression ? [inner] : expressionsOf(inner)
  })
}

/** What an expression asks for that `/metrics` does not have: names, labels, and values of labels. */
function unknownIn(expression: string): string[] {
  const problems: string[] = []
  const labels = new Set(OF_TARGET)
  for (const [, name = ''] of expression.matchAll(/\b((?:walsync|process)_\w+|up)\b/g)) {
    const samples = metrics.split('\n').filter((line) => /^\w+/.exec(line)?.[0] === name)
    if (samples.length === 0 && !OF_PROMETHEUS.includes(name)) problems.push(name)
    for (const line of samples) {
      for (const [, label = ''] of line.matchAll(/[{,](\w+)="/g)) labels.add(label)
    }
  }
  for (const [, label = '', , value = ''] of expression.matchAll(/(\w+)(!?=)"([^"$]*)"/g)) {
    if (!metrics.includes(`${label}="${value}"`) && !OF_TARGET.includes(label)) {
      problems.push(`${label}="${value}"`)
    }
  }
  const named = [...expression.matchAll(/\bby \(([^)]*)\)|[{,](\w+)(?:!?=~?)"/g)]
  for (const name of named.flatMap(([, by, matcher]) => (by ?? matcher ?? '').split(/\s*,\s*/))) {
    if (!labels.has(name)) problems.push(`label ${name}`)
  }
  return problems
}

describe.each([
  ['grafana/walsync.json', 25],
  ['prometheus/alerts.yml', 13],
])('deploy/%s', (path, atLeast) => {
  it('asks only for metrics and labels that a watcher has', () => {
    const expressions = expressionsOf(parse(textOf(path)))
    expect(expressions.length).toBeGreaterThanOrEqual(atLeast)
    const unknown = expressions.flatMap((expr) =>
      unknownIn(expr).map((what) => `${what} in ${expr}`),
    )
    expect(unknown).toEqual([])
  })
})

it('a metric, a label or a value that does not exist is found', () => {
  expect(unknownIn('sum by (nope) (walsync_none{result="maybe"}) / walsync_txid{x="1"}')).toEqual([
    'walsync_none',
    'result="maybe"',
    'x="1"',
    'label nope',
    'label result',
    'label x',
  ])
})

describe('restore drills', () => {
  const DRILL_METRIC = /\bwalsync_(?:last_drill|drills)_\w+/g

  it('are on the dashboard with every metric that a watcher has of them', () => {
    const known = new Set(metrics.match(DRILL_METRIC))
    expect(known.size).toBe(5)
    const shown = expressionsOf(parse(textOf('grafana/walsync.json'))).join('\n')
    expect(new Set(shown.match(DRILL_METRIC))).toEqual(known)
  })

  it('have alert rules: one that failed, one that is overdue, one that could not be run', () => {
    const { groups } = parse(textOf('prometheus/alerts.yml'))
    const rules: { alert: string; expr: string }[] = groups[0].rules
    const ofDrills = rules.filter(({ expr }) => expr.match(DRILL_METRIC) !== null)
    expect(ofDrills.map(({ alert }) => alert)).toEqual([
      'WalsyncRestoreDrillFailed',
      'WalsyncRestoreDrillOverdue',
      'WalsyncRestoreDrillsNotRun',
    ])
  })
})

describe('deploy/grafana/walsync.json', () => {
  const dashboard = JSON.parse(textOf('grafana/walsync.json'))

  it('has panels that do not overlap, each with an id of its own', () => {
    const cells = new Set<string>()
    const panels: { id: number; gridPos: Record<'x' | 'y' | 'w' | 'h', number> }[] =
      dashboard.panels
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x},${y}`)).toBe(false)
          cells.add(`${x},${y}`)
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  })
})
