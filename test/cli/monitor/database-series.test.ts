import { expect, it } from 'vitest'
import { databaseSeries } from '../../../src/cli/monitor/database-series.ts'
import { FakeRun } from './fake-run.ts'

const [app] = new FakeRun(1, {}, 1_767_268_800_500).databases

it('each gauge has a help, a type and a sample of each database that has a value', () => {
  const text = databaseSeries([
    app!,
    { ...app!, name: 'new', engine: undefined, lastDrill: undefined },
  ])
  const blocks = text.trimEnd().split('\n\n')
  expect(blocks).toHaveLength(10)
  for (const block of blocks) {
    expect(block).toMatch(/^# HELP (\w+) \S.*\n# TYPE \1 gauge\n\1\{database="app"\} [\d.]+$/)
  }
  expect(text).toContain('walsync_last_sync_timestamp_seconds{database="app"} 1767268800.5\n')
})

it('has only help and types where there is no database', () => {
  const lines = databaseSeries([]).split('\n')
  expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([])
})

it('a name cannot end its label', () => {
  const text = databaseSeries([{ ...app!, name: 'a"b\\c\nd{e' }])
  expect(text).toContain('walsync_txid{database="a\\"b\\\\c\\nd{e"} 1000\n')
})
