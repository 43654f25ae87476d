import { randomUUID } from 'node:crypto'
import { formatSpan } from '../status/render-status.ts'
import type { Incident } from './incidents.ts'
import type { TroubleKind } from './trouble.ts'

/** Of more databases only the number is sent. */
const MAX_NAMES = 100

/** The body of one message of a webhook. Times are RFC 3339, spans in milliseconds. */
export interface Notice {
  /** Of this format. */
  readonly version: 1
  /** Of this message, also when it is sent again. */
  readonly id: string
  readonly event: 'trouble-started' | 'trouble-ended'
  readonly trouble: TroubleKind
  /** The same for the start and the end of one incident. */
  readonly incident: string
  /** One sentence for people. */
  readonly text: string
  readonly time: Date
  readonly since: Date
  /** Of an end: how long it lasted. */
  readonly durationMs?: number | undefined
  /** Of an outage: which store. */
  readonly store?: string | undefined
  /** Of the first error, where it has one. */
  readonly code?: string | undefined
  readonly databases: { readonly count: number; readonly names: readonly string[] }
  readonly watcher: Watcher
}

/** Who says so. */
export interface Watcher {
  readonly host: string
  readonly pid: number
  /** Version of the program. */
  readonly walsync: string
}

export function startNotice(incident: Incident, watcher: Watcher, now: Date): Notice {
  const { kind, first, databases } = incident
  const subject = subjectOf(databases)
  const text = {
    'store-outage': `The store ${first.store} fails (${subject}): ${first.reason}`,
    'database-failing': `Something fails for ${subject}: ${first.reason}`,
    'database-missing': `The file of ${subject} is missing: ${first.reason}`,
    lagging: `Replication of ${subject} lags by ${first.reason}`,
    'replica-damaged': `The replica of ${subject} is damaged: ${first.reason}`,
    'drill-failed': `Restores of ${subject} are in doubt: ${first.reason}`,
    fenced: `Another watcher has taken over ${subject}: ${first.reason}`,
    'not-shipped': `walsync has ended, and the last changes of ${subject} ${first.reason}.`,
  }[kind]
  return noticeOf('trouble-started', text, incident, watcher, now)
}

export function endNotice(incident: Incident, watcher: Watcher, now: Date): Notice {
  const { kind, first, databases, since, until = now.getTime() } = incident
  const durationMs = Math.max(0, until - since)
  const subject = subjectOf(databases)
  const text = {
    'store-outage': `The store ${first.store} answers again (${subject})`,
    'database-failing': `Nothing fails any more for ${subject}`,
    'database-missing': `The file of ${subject} is there again`,
    lagging: `Replication of ${subject} is up to date again`,
    'replica-damaged': `The replica of ${subject} is whole again`,
    'drill-failed': `The restore drill of ${subject} passes again`,
    fenced: `${subject} is no longer taken over`,
    'not-shipped': `The last changes of ${subject} are in the store`,
  }[kind]
  const lasted = `${text}, after ${formatSpan(durationMs)}.`
  return { ...noticeOf('trouble-ended', lasted, incident, watcher, now), durationMs }
}

function noticeOf(
  event: Notice['event'],
  text: string,
  { id, kind, first, since, databases }: Incident,
  watcher: Watcher,
  time: Date,
): Notice {
  return {
    version: 1,
    id: randomUUID(),
    event,
    trouble: kind,
    incident: id,
    text,
    time,
    since: new Date(since),
    store: first.store,
    code: first.code,
    databases: { count: databases.size, names: [...databases].slice(0, MAX_NAMES) },
    watcher,
  }
}

function subjectOf(databases: ReadonlySet<string>): string {
  const [first = ''] = databases
  const more = databases.size - 1
  if (more === 0) return first
  return `${first} and ${more === 1 ? '1 more database' : `${more} more databases`}`
}
