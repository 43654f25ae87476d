import type { ProbeCheck, ProbeReport, ProbeVerb, RaceReport } from '../../core/store/index.ts'

/** One line of `walsync doctor`. Only `failed` makes a store unfit. */
export interface Finding {
  readonly name: string
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped' | 'untried'
  readonly text: string
}

/** Signatures are refused from 5 (Azure, GCS) or 15 minutes (S3) on; a minute says that no one keeps the clock. */
const MAX_SKEW_MS = 60_000

export function clockFinding({ clockSkewMs }: ProbeReport): Finding {
  const name = 'clock'
  if (clockSkewMs === undefined) {
    return { name, status: 'untried', text: 'nothing could be written or read back' }
  }
  const seconds = Math.abs(Math.round(clockSkewMs / 1000))
  if (Math.abs(clockSkewMs) <= MAX_SKEW_MS) {
    return { name, status: 'ok', text: `within ${Math.max(1, seconds)} s of the store's` }
  }
  const where = clockSkewMs > 0 ? 'behind' : 'ahead of'
  const text = `${seconds} s ${where} the store's: set the clock, or credentials will be refused and restores to a time are off`
  return { name, status: 'warning', text }
}

export function probeFindings(report: ProbeReport): Finding[] {
  const { checks, leftBehind } = report
  const findings: Finding[] = checks.map(checkFinding)
  findings.push(permissions(report), latency(report))
  if (leftBehind.length > 0) {
    findings.push({ name: 'left behind', status: 'warning', text: leftBehind.join(', ') })
  }
  return findings
}

export function raceFinding({ status, sentence }: RaceReport): Finding {
  return { name: 'race', status, text: sentence }
}

/** Without create-only puts one writer alone is safe, if the backend says so: a warning, not a lie. */
function checkFinding({ name, status, sentence }: ProbeCheck): Finding {
  const loses = name === 'create-only' && status === 'skipped'
  return { name, status: loses ? 'warning' : status, text: sentence }
}

/** `watch` and `restore` need these; `delete` only removes what is no longer needed. */
const NEEDED: readonly ProbeVerb[] = ['put', 'get', 'head', 'list']

function permissions({ denied, latencyMs }: ProbeReport): Finding {
  const name = 'permissions'
  if (denied.length === 0) {
    return { name, status: 'ok', text: `${Object.keys(latencyMs).join(', ')}: all granted` }
  }
  const text = `missing: ${denied.map(({ verb, error }) => `${verb} (${error.message})`).join('; ')}`
  const needed = denied.some(({ verb }) => NEEDED.includes(verb))
  return { name, status: needed ? 'failed' : 'warning', text }
}

function latency({ latencyMs }: ProbeReport): Finding {
  const verbs = Object.entries(latencyMs).map(([verb, ms]) => `${verb} ${ms.toFixed(1)} ms`)
  return { name: 'latency', status: 'ok', text: verbs.length === 0 ? 'none' : verbs.join(', ') }
}
