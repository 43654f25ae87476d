import type { DrillReport, ReportedDatabase } from './drill-report.ts'

interface TestCase {
  readonly name: string
  readonly seconds?: number | undefined
  /** What it failed by; passed if there is none. */
  readonly failure?: string | undefined
  /** It could not be carried out. */
  readonly error?: string | undefined
}

/** The report as JUnit XML, which CI systems show: a suite for each database, a case for each check. */
export function reportJunit(report: DrillReport): string {
  const { databases, error, startedAt, durationMs } = report
  const suites = databases.map((database) => ({ name: database.name, cases: casesOf(database) }))
  if (error !== undefined) {
    const text = `${error.message} ${error.hint}`
    suites.push({ name: 'walsync', cases: [{ name: 'the drill ran to its end', error: text }] })
  }
  const all = suites.flatMap(({ cases }) => cases)
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="walsync drill" ${counts(all)} time="${seconds(durationMs)}">`,
    ...suites.flatMap(({ name, cases }) => [
      `  <testsuite name="${xml(name)}" ${counts(cases)} timestamp="${startedAt.slice(0, 19)}">`,
      ...cases.map((each) => testCase(name, each)),
      '  </testsuite>',
    ]),
    '</testsuites>',
    '',
  ].join('\n')
}

function casesOf({ defects, restore }: ReportedDatabase): TestCase[] {
  const objects = {
    name: 'the objects are intact',
    failure: defects.map(({ code, message }) => `${code}: ${message}`).join('\n') || undefined,
  }
  if (!restore.restored) {
    const failure = `${restore.code}: ${restore.message}`
    return [objects, { name: 'the newest state is restored', failure }]
  }
  const { durationMs, ageMs, maxAgeMs, assertions, comparison } = restore
  const restored = { name: 'the newest state is restored', seconds: durationMs / 1000 }
  const asserted = assertions.map(({ sql, passed, value, error, durationMs: ms }) => ({
    name: sql,
    seconds: ms / 1000,
    failure: passed ? undefined : (error ?? `found ${value}`),
  }))
  const age = maxAgeMs === undefined ? [] : [ageCase(ageMs, maxAgeMs)]
  const compared = comparison === undefined ? [] : [comparisonCase(comparison)]
  return [objects, restored, ...age, ...asserted, ...compared]
}

function ageCase(ageMs: number | undefined, maxAgeMs: number): TestCase {
  const name = `the newest state is at most ${maxAgeMs / 1000} s old`
  if (ageMs === undefined) return { name, failure: 'its time is not known' }
  return { name, failure: ageMs > maxAgeMs ? `it is ${ageMs / 1000} s old` : undefined }
}

function comparisonCase({ outcome, reason }: { outcome: string; reason?: string }): TestCase {
  const failure = outcome === 'identical' ? undefined : `${outcome}${reason ? `: ${reason}` : ''}`
  return { name: 'the live database is the same', failure }
}

function testCase(suite: string, { name, seconds: time = 0, failure, error }: TestCase): string {
  const start = `    <testcase classname="${xml(suite)}" name="${xml(name)}" time="${time.toFixed(3)}"`
  const [tag, text] = error === undefined ? ['failure', failure] : ['error', error]
  if (text === undefined) return `${start}/>`
  const [first = ''] = text.split('\n')
  return `${start}>\n      <${tag} message="${xml(first)}">${xml(text)}</${tag}>\n    </testcase>`
}

function counts(cases: readonly TestCase[]): string {
  const failures = cases.filter(({ failure }) => failure !== undefined).length
  const errors = cases.filter(({ error }) => error !== undefined).length
  return `tests="${cases.length}" failures="${failures}" errors="${errors}"`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\t': '&#9;',
  '\r': '&#13;',
}
/** Characters that XML 1.0 cannot hold, not even as a reference. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

function xml(text: string): string {
  return text
    .replaceAll(NOT_XML, '\ufffd')
    .replaceAll(/[&<>"\n\t\r]/g, (character) => ENTITIES[character] as string)
}
