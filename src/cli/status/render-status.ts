import { formatBytes, formatTable } from '../output/format.ts'
import type { DrillRecord } from '../watch/drill-history.ts'
import type { WatcherAnswers } from './ask-watchers.ts'
import type { StatusDocument, StatusOfDatabase } from './status-document.ts'

/** For people: a table for each watcher, and below it what is wrong. TXIDs are decimal. */
export function renderStatus({ watchers, failures }: WatcherAnswers): string {
  return [
    ...watchers.map(renderWatcher),
    ...failures.map(({ socket, error }) => `The watcher at ${socket} does not answer: ${error}.`),
  ].join('\n\n')
}

const HEADING = [
  'DATABASE',
  'STATE',
  'LAG',
  'LAST SYNC',
  'SIZE',
  'WAL',
  'PENDING',
  'RESTORABLE FROM',
  'TO',
  'TXID',
  'PATH',
  'STORE',
]

function renderWatcher(watcher: StatusDocument): string {
  const { walsync, pid, uptimeMs, config, databases } = watcher
  const file = config === undefined ? '' : `, ${config}`
  const head = `walsync ${walsync}, process ${pid}, up ${formatSpan(uptimeMs)}${file}`
  if (databases.length === 0) return `${head}\nNo databases.`
  const table = [HEADING, ...databases.map(row)]
  return [head, formatTable(table), ...databases.flatMap(notes)].join('\n')
}

function row(database: StatusOfDatabase): string[] {
  const { name, path, replica, state, lagMs, lastSyncAt, txid } = database
  const { replicaBytes, walBytes, pendingFiles, restorable } = database
  return [
    name,
    state,
    lagMs === undefined ? '' : formatSpan(lagMs),
    lastSyncAt ?? '',
    replicaBytes === undefined ? '' : formatBytes(replicaBytes),
    formatBytes(walBytes),
    String(pendingFiles),
    restorable?.from.time ?? '',
    restorable?.to.time ?? '',
    txid === undefined ? '' : BigInt(`0x${txid}`).toString(),
    path,
    replica ?? '',
  ]
}

function notes(database: StatusOfDatabase): string[] {
  const { name, reason, waitingSince, lastError, errorSince, spoolBytes, lastDrill } = database
  const why = reason === lastError ? undefined : since(reason, waitingSince)
  const said = [why, since(lastError, errorSince)].filter((text) => text !== undefined)
  if (lastDrill !== undefined) said.push(drillText(lastDrill))
  if (spoolBytes > 0) said.push(`${formatBytes(spoolBytes)} wait in the spool`)
  return said.map((text) => `${name}: ${text}`)
}

/** What the last restore has shown: how long it takes, and how much would be missing. */
function drillText({ time, passed, failures, ms, ageMs }: DrillRecord): string {
  if (!passed) return `restore drill failed at ${time}: ${failures.join(' ')}`
  const took = ms === undefined ? '' : `, restored in ${formatSpan(ms)}`
  const age =
    ageMs === undefined
      ? ''
      : `, ${ageMs === 0 ? 'nothing was missing' : `the state was ${formatSpan(ageMs)} old`}`
  return `restore drill passed at ${time}${took}${age}`
}

function since(text: string | undefined, time: string | undefined): string | undefined {
  return text === undefined || time === undefined ? text : `since ${time}: ${text}`
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const

/** `3 h 20 min`, `12 s`, `80 ms`, `0`: the two largest units, from minutes on. */
export function formatSpan(ms: number): string {
  const whole = Math.round(ms)
  const at = UNITS.findIndex(([, size]) => whole >= size)
  const [unit, size] = UNITS[at] ?? ['', 1]
  if (at < 0) return '0'
  const [smaller, part] = UNITS[at + 1] ?? ['', 1]
  const rest = Math.floor((whole % size) / part)
  const first = `${Math.floor(whole / size)} ${unit}`
  return size >= 60_000 && rest > 0 ? `${first} ${rest} ${smaller}` : first
}
