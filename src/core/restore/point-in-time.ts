import { DateTime, type DateTimeMaybeValid } from 'luxon'
import { RestoreError } from './restore-error.ts'
import type { RestoreTarget } from './restore-target.ts'

export interface PointInTimeOptions {
  /** The current time, for `ago`, `today` and the rejection of later times. Default: the clock. */
  readonly now?: Date | undefined
  /** IANA name of the time zone for times without one. Default: the system's. */
  readonly zone?: string | undefined
}

const CLOCK = '(\\d{2}):(\\d{2})(?::(\\d{2})(?:[.,](\\d{1,9}))?)?'
const ABSOLUTE = new RegExp(
  `^(\\d{4})-(\\d{2})-(\\d{2})[T ]${CLOCK} ?(Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)?$`,
  'i',
)
const DAY = new RegExp(`^(today|yesterday) ${CLOCK}$`, 'i')
const AGO = /^((?:\d{1,9} ?[a-z]{1,7},? ?(?:and )?){1,5}) ago$/i
const PART = /(\d{1,9}) ?([a-z]{1,7})/gi

const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }
const UNIT_NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ['s', 'sec', 'secs', 'second', 'seconds'],
    ['m', 'min', 'mins', 'minute', 'minutes'],
    ['h', 'hr', 'hrs', 'hour', 'hours'],
    ['d', 'day', 'days'],
    ['w', 'week', 'weeks'],
  ].flatMap((names) => names.map((name) => [name, names[0] as string])),
)

/**
 * Parses a point in time as people write it: RFC 3339 with a zone, `2026-11-24 18:00[:00[.000]]` in
 * local time, `today 14:00`, `yesterday 14:00`, `10m ago`, `2 hours ago`, `1h 30m ago`. Digits
 * below a millisecond are dropped; a day is 24 hours, a week is 7 days.
 *
 * Rejected, because a guess could restore the wrong state: dates without a time of day,
 * `03/04/2026`, bare numbers, months and years ago, local times that daylight saving time skips or
 * repeats, and times in the future.
 *
 * @throws RestoreError `InvalidTarget`
 */
export function parsePointInTime(text: string, options: PointInTimeOptions = {}): RestoreTarget {
  const now = options.now ?? new Date()
  const time = parse(text.trim().replaceAll(/\s+/g, ' '), text, now, options.zone ?? 'system')
  if (time.getTime() > now.getTime()) {
    throw refused(
      text,
      `is later than now (${now.toISOString()})`,
      'Leave it out for the latest state.',
    )
  }
  return { kind: 'time', time }
}

function parse(text: string, given: string, now: Date, zone: string): Date {
  const ago = AGO.exec(text)
  if (ago !== null) return new Date(now.getTime() - spanMs(ago[1] as string, given))

  const day = DAY.exec(text)
  if (day !== null) {
    const today = DateTime.fromJSDate(now, { zone })
    const date = day[1]?.toLowerCase() === 'today' ? today : today.minus({ days: 1 })
    return local(date.toISODate() as string, clockOf(day.slice(2)), given, zone)
  }

  const absolute = ABSOLUTE.exec(text)
  if (absolute === null) throw refused(given, 'is not a recognised date or time')
  const [, year, month, dayOfMonth, ...rest] = absolute
  const date = `${year}-${month}-${dayOfMonth}`
  const offset = rest.pop()
  const clock = clockOf(rest)
  if (offset === undefined) return local(date, clock, given, zone)
  const at = DateTime.fromISO(`${date}T${clock}${offset.toUpperCase()}`)
  return validDate(at, given)
}

/**
 * Groups of `CLOCK` as `HH:MM:SS.mmm`. Hour 24 would be midnight of the next day, so it is not
 * accepted.
 */
function clockOf([hour, minute, second, fraction]: readonly (string | undefined)[]): string {
  const ms = (fraction ?? '').slice(0, 3).padEnd(3, '0')
  return `${hour === '24' ? '99' : hour}:${minute}:${second ?? '00'}.${ms}`
}

function local(date: string, clock: string, given: string, zone: string): Date {
  const at = DateTime.fromISO(`${date}T${clock}`, { zone })
  const instant = validDate(at, given)
  if (at.toFormat("yyyy-MM-dd'T'HH:mm:ss.SSS") !== `${date}T${clock}`) {
    throw refused(given, `does not exist in the zone ${at.zoneName}: the clocks skip it`)
  }
  const both = at.getPossibleOffsets()
  if (both.length > 1) {
    const forms = both.map((one) => one.toISO({ suppressMilliseconds: true })).join(' or ')
    throw refused(given, `happens twice in the zone ${at.zoneName}`, `Write ${forms}.`)
  }
  return instant
}

function spanMs(parts: string, given: string): number {
  let span = 0
  for (const [, count, name] of parts.matchAll(PART)) {
    const unit = UNIT_MS[UNIT_NAMES[(name as string).toLowerCase()] ?? '']
    if (unit === undefined) throw refused(given, `has the unit ${JSON.stringify(name)}`)
    span += Number(count) * unit
  }
  return span
}

function validDate(at: DateTimeMaybeValid, given: string): Date {
  const date = at.toJSDate()
  if (!at.isValid || Number.isNaN(date.getTime())) throw refused(given, 'is not a date and time')
  return date
}

const FORMS =
  'Accepted: 2026-11-24T18:00:00Z, 2026-11-24T18:00:00+01:00, "2026-11-24 18:00" (local time), "yesterday 14:00", "10m ago", "2 hours ago".'

function refused(given: string, why: string, advice?: string): RestoreError {
  const hint = advice === undefined ? FORMS : `${advice} ${FORMS}`
  return new RestoreError('InvalidTarget', `The point in time ${JSON.stringify(given)} ${why}.`, {
    hint,
  })
}
