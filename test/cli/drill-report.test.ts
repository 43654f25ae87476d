import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { VerifiedReplica } from '../../src/cli/commands/verify-text.ts'
import { type DrillReport, drillReport } from '../../src/cli/drill/drill-report.ts'
import { reportHtml } from '../../src/cli/drill/report-html.ts'
import { reportJunit } from '../../src/cli/drill/report-junit.ts'
import { txid } from '../../src/core/ltx/index.ts'
import type { TrialRestore } from '../../src/core/repair/index.ts'

const time = new Date(Date.UTC(2026, 0, 1))
const state = { txid: txid(3), time }
const GOOD = {
  depth: 'full',
  verdict: 'good',
  files: 3,
  bytes: 1500,
  defects: [],
  restorable: [],
  lost: [],
  latest: { ...state, restorable: true },
  goodUpTo: state,
} as unknown as VerifiedReplica['report']
const HOSTILE = `</script><img src=x>&"'\u0000\u001b[31m`

function replica(name: string, trial: Partial<TrialRestore> = {}): VerifiedReplica {
  const drill = { restored: true, ...state, bytes: 5000, durationMs: 7.4, ageMs: 3000 }
  const rest = { maxAgeMs: undefined, assertions: [], comparison: undefined }
  return { name, report: GOOD, trial: { ...drill, ...rest, ...trial } as TrialRestore }
}

function reportOf(verified: readonly VerifiedReplica[], error?: unknown): DrillReport {
  const run = { walsync: '1.2.3', store: 's3://user:secret@bucket/x', startedAt: time, error }
  return drillReport({ ...run, verified }, new Date(time.getTime() + 5000))
}

const assertion = (passed: boolean, sql = 'SELECT 1') => {
  return { sql, passed, value: passed ? '1' : '0', error: undefined, durationMs: 2.2 }
}
const different = {
  outcome: 'different',
  pages: 9,
  differing: 2,
  first: [1, 2],
} as const

describe('a drill report', () => {
  it('has every database, and passes only if all do', () => {
    const passed = replica('a', { assertions: [assertion(true)], maxAgeMs: 3000 })
    expect(reportOf([passed]).passed).toBe(true)
    const report = reportOf([
      passed,
      replica('b', { assertions: [assertion(false)] }),
      replica('c', { comparison: different }),
      replica('d', { maxAgeMs: 2999 }),
      { name: 'e', report: GOOD, trial: { restored: false, code: 'Gap', message: 'no', hint: '' } },
    ])
    expect(report.passed).toBe(false)
    expect(report.databases.map(({ name, failures }) => [name, failures])).toEqual([
      ['a', []],
      ['b', ['Assertion failed: SELECT 1: found 0']],
      ['c', ['The live database differs in 2 of 9 pages.']],
      ['d', ['The newest state is 3 s old, and at most 3 s is allowed.']],
      ['e', ['no']],
    ])
    const junit = reportJunit(report)
    expect(junit.match(/<testsuite /g)).toHaveLength(5)
    expect(junit.match(/<failure /g)).toHaveLength(4)
    expect(junit).toContain('tests="15" failures="4" errors="0"')
  })

  it('names each of its fields in the documentation', () => {
    const page = readFileSync(
      fileURLToPath(new URL('../../docs/reference/drill-report.md', import.meta.url)),
      'utf8',
    )
    const report = reportOf(
      [replica('a', { assertions: [assertion(true)], maxAgeMs: 1, comparison: different })],
      new Error('stopped'),
    )
    const names = new Set<string>()
    JSON.stringify(report, (key, value) => {
      if (!/^\d*$/.test(key)) names.add(key)
      return value
    })
    expect(names.size).toBeGreaterThan(25)
    expect([...names].filter((name) => !page.includes(`\`${name}\``))).toEqual([])
  })

  it('holds no secret, and nothing that a page or an XML file could take for its own', () => {
    const report = reportOf([replica(HOSTILE, { assertions: [assertion(false, HOSTILE)] })])
    expect(JSON.stringify(report)).not.toContain('secret')
    const page = reportHtml(report)
    expect(page).not.toMatch(/<img|<\/script|secret/)
    expect(page).toContain('&lt;img src=x&gt;&amp;&quot;&#39;')
    const junit = reportJunit(report)
    expect(junit).not.toMatch(/<img|secret/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what XML cannot hold
    expect(junit).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/)
  })

  it('says what ended it early, and then does not pass', () => {
    const report = reportOf([replica('a')], new Error('the network is away'))
    expect(report.passed).toBe(false)
    expect(report.error).toMatchObject({ message: expect.stringContaining('the network is away') })
    expect(reportHtml(report)).toContain('The drill did not run to its end')
    expect(reportJunit(report)).toMatch(/errors="1"[\s\S]*<error message="[^"]*network is away/)
  })
})
