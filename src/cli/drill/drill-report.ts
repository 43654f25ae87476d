import { drillFailures } from '../../core/drill/index.ts'
import type { VerifiedReplica } from '../commands/verify-text.ts'
import { jsonLine } from '../output/json-line.ts'
import { errorReport } from '../output/report-error.ts'

/** What `verify --report` writes; docs/reference/drill-report.md describes each field. TXIDs are 16 hexadecimal digits, times RFC 3339, spans in milliseconds, sizes in bytes. */
export interface DrillReport {
  /** Of this format. */
  readonly version: 1
  readonly walsync: string
  /** Where the replicas are. */
  readonly store: string
  readonly startedAt: string
  readonly durationMs: number
  /** Every database passed, and nothing kept the drill from ending. */
  readonly passed: boolean
  readonly databases: readonly ReportedDatabase[]
  /** Why the drill ended before all databases were looked at. */
  readonly error?: ReportedError | undefined
}

export interface ReportedDatabase {
  readonly name: string
  readonly passed: boolean
  /** What it failed by, one sentence each. */
  readonly failures: readonly string[]
  /** Of the objects, as `walsync verify` gives it. */
  readonly verdict: 'good' | 'degraded' | 'damaged'
  readonly depth: 'quick' | 'full'
  readonly files: number
  readonly bytes: number
  readonly defects: readonly {
    readonly code: string
    readonly key?: string | undefined
    readonly message: string
  }[]
  readonly restore: ReportedRestore
}

export type ReportedRestore =
  | {
      readonly restored: true
      readonly txid: string
      readonly time?: string | undefined
      readonly bytes: number
      /** How long the restore took, with the integrity check (RTO). */
      readonly durationMs: number
      /** How old the newest state was (RPO). */
      readonly ageMs?: number | undefined
      readonly maxAgeMs?: number | undefined
      readonly assertions: readonly {
        readonly sql: string
        readonly passed: boolean
        readonly value?: string | undefined
        readonly error?: string | undefined
        readonly durationMs: number
      }[]
      /** With the live database, if it was named. */
      readonly comparison?: { readonly outcome: string; readonly reason?: string } | undefined
    }
  | { readonly restored: false; readonly code: string; readonly message: string }

export interface ReportedError {
  readonly code: string
  readonly message: string
  readonly hint: string
}

export interface DrillRun {
  readonly walsync: string
  readonly store: string
  readonly startedAt: Date
  readonly verified: readonly VerifiedReplica[]
  /** What ended it early. */
  readonly error?: unknown
}

/** The report as plain data, without secrets. */
export function drillReport(run: DrillRun, now: Date = new Date()): DrillReport {
  const { walsync, store, startedAt, verified } = run
  const databases = verified.map(reportedDatabase)
  const error = run.error === undefined ? undefined : reportedError(run.error)
  const document = {
    version: 1,
    walsync,
    store,
    startedAt,
    durationMs: now.getTime() - startedAt.getTime(),
    passed: error === undefined && databases.every(({ passed }) => passed),
    databases,
    error,
  }
  // The one place that knows how values are written and what must not be.
  return JSON.parse(jsonLine(document), wholeMs) as DrillReport
}

function wholeMs(key: string, value: unknown): unknown {
  return key.endsWith('Ms') && typeof value === 'number' ? Math.round(value) : value
}

function reportedDatabase({ name, report, trial }: VerifiedReplica) {
  const { verdict, depth, files, bytes, defects } = report
  const failures = [
    ...defects.map(({ message }) => message),
    ...(trial === undefined ? [] : drillFailures(trial)),
    ...comparisonFailures(trial),
  ]
  return {
    name,
    passed: failures.length === 0,
    failures,
    verdict,
    depth,
    files,
    bytes,
    defects: defects.map(({ code, key, message }) => ({ code, key, message })),
    restore: trial,
  }
}

function comparisonFailures(trial: VerifiedReplica['trial']): string[] {
  if (trial?.restored !== true || trial.comparison === undefined) return []
  const { comparison } = trial
  if (comparison.outcome === 'identical') return []
  if (comparison.outcome === 'not-compared') {
    return [`The live database could not be compared: ${comparison.reason}.`]
  }
  const { differing, pages } = comparison
  return [`The live database differs in ${differing} of ${pages} pages.`]
}

function reportedError(error: unknown): ReportedError {
  const { code, message, hint } = errorReport(error)
  return { code, message, hint }
}
