import { type AssertionResult, isTooOld, type RestoredDrill } from '../../core/drill/index.ts'
import type { Comparison, TrialRestore } from '../../core/repair/index.ts'
import type { Defect, StateSpan, VerifyReport } from '../../core/verify/index.ts'
import { formatBytes, formatTable, plural, shellWord } from '../output/format.ts'
import { formatSpan } from '../status/render-status.ts'

/** One replica, as `verify` has found it. */
export interface VerifiedReplica {
  readonly name: string
  readonly report: VerifyReport
  /** `undefined` if no restore was asked for. */
  readonly trial: TrialRestore | undefined
}

/** What the user typed, for commands that the text suggests. */
export interface VerifiedAt {
  readonly bucket: string
  /** The live database, if it was named. */
  readonly database?: string | undefined
}

/** Spans shown of one defect; JSON has all. */
const MAX_SPANS = 5

/** What `verify` has found, for people. */
export function verifyText(replicas: readonly VerifiedReplica[], at: VerifiedAt): string {
  return [table(replicas), ...replicas.flatMap((replica) => details(replica, at))].join('\n')
}

/** The defects of one replica, what they cost, and what is lost in all. Empty without defects. */
export function defectLines({ defects, lost }: VerifyReport): string[] {
  return [
    ...defects.flatMap((defect) => [`  ${defect.code}: ${defect.message}`, `    ${cost(defect)}`]),
    ...(lost.length === 0 ? [] : [`  not restorable: ${spansText(lost)}`]),
  ]
}

/** `TXIDs 3 to 5 (2026-01-01T00:00:00.000Z to …), TXID 9 (…)`. */
export function spansText(spans: readonly StateSpan[]): string {
  const shown = spans.slice(0, MAX_SPANS).map(spanText).join(', ')
  const more = spans.length - MAX_SPANS
  return more > 0 ? `${shown}, and ${more} more stretches` : shown
}

function table(replicas: readonly VerifiedReplica[]): string {
  const heading = [
    'DATABASE',
    'VERDICT',
    'CHECKED',
    'FILES',
    'SIZE',
    'DEFECTS',
    'STATES',
    'NEWEST',
    'GOOD UP TO',
  ]
  const rows = replicas.map(({ name, report }) => {
    const { verdict, depth, files, bytes, defects, restorable, latest, goodUpTo } = report
    return [
      name,
      verdict,
      depth === 'full' ? 'contents' : 'names',
      String(files),
      formatBytes(bytes),
      String(defects.length),
      String(restorable.reduce((sum, { states }) => sum + states, 0)),
      pointText(latest),
      depth === 'quick' ? 'not checked' : goodUpTo === undefined ? 'nothing' : pointText(goodUpTo),
    ]
  })
  return formatTable([heading, ...rows])
}

function pointText({ txid, time }: { readonly txid: bigint; readonly time: Date | undefined }) {
  return `TXID ${txid}${time === undefined ? '' : ` ${time.toISOString()}`}`
}

function details({ name, report, trial }: VerifiedReplica, at: VerifiedAt): string[] {
  const { foreign, orphans, redundant } = report
  const lines = defectLines(report)
  if (report.defects.length > 0) lines.push(`  try: ${remedy(report, name, at)}`)
  if (orphans > 0) {
    lines.push(`  ${plural(orphans, 'TXID')} cannot be restored exactly (normal after pruning)`)
  }
  if (redundant > 0) {
    lines.push(
      `  ${plural(redundant, 'object')} that two compactions made (normal; retention deletes them)`,
    )
  }
  if (foreign > 0) lines.push(`  ${plural(foreign, 'object')} of other kinds, which nothing reads`)
  if (trial !== undefined) lines.push(...trialLines(trial))
  return lines.length === 0 ? [] : [`${name}:`, ...lines]
}

function cost(defect: Defect): string {
  const { cost: lost } = defect
  if (isUsable(defect)) return 'costs nothing: a restore can use the objects all the same'
  if (lost.length === 0) return 'costs nothing on its own: other files provide the same states'
  return `costs ${spansText(lost)}`
}

/** Is the defect no damage of the objects that it names? */
function isUsable({ code }: Defect): boolean {
  return code === 'Overlap' || code === 'WrongTime'
}

function spanText({ from, to, fromTime, toTime }: StateSpan): string {
  const txids = from === to ? `TXID ${from}` : `TXIDs ${from} to ${to}`
  const times = [...new Set([fromTime, toTime].flatMap((time) => time?.toISOString() ?? []))]
  return times.length === 0 ? txids : `${txids} (${times.join(' to ')})`
}

function remedy(
  { latest, lost, defects }: VerifyReport,
  name: string,
  { bucket, database = 'DATABASE' }: VerifiedAt,
): string {
  const where = `${shellWord(database)} --name ${shellWord(name)} -b ${shellWord(bucket)}`
  const what = database === 'DATABASE' ? ' (DATABASE is the file that this replica is of)' : ''
  if (lost.length > 0 && defects.some(({ code }) => code === 'Archived')) {
    return 'Bring the archived objects back from the archive tier, then run verify again: nothing is known to be wrong with them.'
  }
  if (!latest.restorable) {
    return `Run walsync repair ${where}${what}: it uploads a copy of the database as it is, so that the newest state can be restored again.`
  }
  if (lost.length > 0) {
    return 'The newest state is safe. The lost states can only come from another copy of the replica.'
  }
  if (defects.every(isUsable)) {
    return defects.some(({ code }) => code === 'WrongTime')
      ? 'Nothing is lost. Copy the replica again with its times (cp -a, rsync -a), or name states with --txid when you restore.'
      : 'Nothing is lost, and nothing need be done: retention deletes such objects in time.'
  }
  return `Nothing is lost. walsync snapshot ${where}${what} makes one more way to the newest state.`
}

function trialLines(trial: TrialRestore): string[] {
  if (!trial.restored) return [`  restore: ${trial.code}: ${trial.message}`]
  const { txid, bytes, durationMs, comparison } = trial
  const restored = `  restore: TXID ${txid}, ${formatBytes(bytes)} in ${durationMs} ms, full integrity check ok`
  return [
    restored,
    ageLine(trial),
    ...trial.assertions.map(assertionLine),
    ...(comparison === undefined ? [] : [comparisonLine(comparison)]),
  ]
}

function ageLine(drill: RestoredDrill): string {
  const { ageMs, maxAgeMs } = drill
  const age =
    ageMs === undefined
      ? 'the time of that state is not known'
      : `${formatSpan(ageMs)} when the restore began`
  const limit = maxAgeMs === undefined ? '' : `, at most ${formatSpan(maxAgeMs)} allowed`
  return `  age: ${isTooOld(drill) ? 'TOO OLD: ' : ''}${age}${limit}`
}

function assertionLine({ sql, passed, value, error }: AssertionResult): string {
  const statement = sql.trim().replaceAll(/\s+/g, ' ')
  if (passed) return `  assertion: ok: ${statement}`
  return `  assertion: FAILED: ${statement}: ${error ?? `found ${value}`}`
}

function comparisonLine(comparison: Comparison): string {
  if (comparison.outcome === 'not-compared') {
    return `  database: NOT COMPARED: ${comparison.reason}`
  }
  const { outcome, pages, differing, first } = comparison
  if (outcome === 'identical') return `  database: identical in all ${pages} pages`
  const more = differing > first.length ? ', …' : ''
  return `  database: DIFFERENT in ${differing} of ${pages} pages: ${first.join(', ')}${more}`
}
