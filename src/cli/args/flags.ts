import ms from 'ms'
import { z } from 'zod'
import { UsageError } from './usage-error.ts'

/** Node's timers overflow past 2^31 ms; 24 days is the last whole day below. */
const MAX_DURATION_MS = 24 * 24 * 3_600_000
const MAX_LONG_DURATION_MS = 100 * 365.25 * 24 * 3_600_000

/** `500ms`, `1s`, `2m`, `1h`, `1d`; a bare number is seconds, as in walsync 0.1. Gives milliseconds. */
export function duration(options: { readonly zero?: boolean | undefined } = {}) {
  const zero = options.zero === true ? ', or 0' : ''
  const expected = `a duration from 1ms to 24d such as 500ms, 30s or 1h (a bare number is seconds)${zero}`
  return flag(expected, (text) => milliseconds(text, MAX_DURATION_MS, options.zero === true))
}

/** Like `duration`, for spans that no timer waits for: up to 100 years, with `w` and `y` (365.25 days) as well. Gives milliseconds. */
export function longDuration(options: { readonly zero?: boolean | undefined } = {}) {
  const zero = options.zero === true
  const expected = `a duration up to 100y such as 12h, 30d, 8w or 1y (a bare number is seconds)${zero ? ', or 0' : ''}`
  return flag(expected, (text) => longMs(text, zero))
}

/** Several such durations, separated by commas, or `none` for no duration. Gives milliseconds. */
export function durations(options: {
  /** The most that may be given. */
  readonly max: number
  /** Each must be longer than the one before. */
  readonly ascending?: boolean | undefined
  /** Are durations of 0 allowed? */
  readonly zero?: boolean | undefined
}) {
  const { max, ascending = false, zero = false } = options
  const order = ascending ? ', each longer than the one before' : ''
  const expected = `none or up to ${max} durations such as 30s,5m,1h${order}`
  return flag(expected, (text): readonly number[] | undefined => {
    if (text.trim() === 'none') return []
    const values = text.split(',').map((part) => longMs(part.trim(), zero))
    if (values.length > max || !values.every((value) => value !== undefined)) return undefined
    const sorted = values.every((value, i) => i === 0 || value > (values[i - 1] as number))
    return ascending && !sorted ? undefined : values
  })
}

/** `64MB`, `1GiB`, `4096`: kB, MB and GB are powers of 1,000; KiB, MiB and GiB of 1,024. Gives bytes. */
export function bytes() {
  return flag('a size such as 64MB, 1GiB or 1048576', (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$/i.exec(text)
    if (match === null) return undefined
    const [, digits, unit, binary] = match
    if (binary !== '' && unit === '') return undefined
    const power = ['', 'k', 'm', 'g', 't'].indexOf((unit ?? '').toLowerCase())
    const value = Math.round(Number(digits) * (binary === '' ? 1000 : 1024) ** power)
    return value >= 1 && Number.isSafeInteger(value) ? value : undefined
  })
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number) {
  return flag(`a whole number from ${min} to ${max}`, (text) => {
    const value = Number(text)
    return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined
  })
}

/** Permission bits as chmod takes them: `640`, `0640`. */
export function fileMode() {
  return flag('permissions in octal such as 0640', (text) =>
    /^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined,
  )
}

/** `uid:gid` in numbers, as a volume has them whose users this machine does not know. */
export function owner() {
  return flag('a user and a group in numbers such as 1000:1000', (text) => {
    const match = /^(\d{1,10}):(\d{1,10})$/.exec(text)
    const [uid, gid] = [Number(match?.[1]), Number(match?.[2])]
    return uid <= MAX_ID && gid <= MAX_ID ? { uid, gid } : undefined
  })
}

/** 2^32 - 1 is -1, which chown takes for "leave it". */
const MAX_ID = 2 ** 32 - 2

/** One of a closed list of words. */
export function oneOf<const T extends string>(words: readonly T[]) {
  return flag(`one of ${words.join(', ')}`, (text) => words.find((word) => word === text))
}

/** Any text but an empty one: an unset shell variable is the usual reason for `-b ""`. */
export function text(what: string) {
  return flag(what, (value) => (value.trim() === '' ? undefined : value))
}

/**
 * Validates all flags of a command at once, before anything is opened.
 *
 * @throws UsageError naming the first wrong flag, what it was given and what it takes
 */
export function parseFlags<S extends z.ZodObject>(schema: S, raw: Record<string, unknown>) {
  const parsed = schema.safeParse(raw)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const key = String(issue?.path[0] ?? '')
  const name = `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
  throw new UsageError(
    `${name} got ${JSON.stringify(raw[key])}, which is not ${issue?.message ?? 'valid'}.`,
    `give ${name} ${issue?.message ?? 'another value'}`,
  )
}

function flag<T>(expected: string, parse: (text: string) => T | undefined) {
  return z.string().transform((value, context): T => {
    const parsed = parse(value)
    if (parsed !== undefined) return parsed
    context.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

function longMs(text: string, zero: boolean): number | undefined {
  // A month to whoever writes it, and a minute to `ms`: 40,000 times less would be kept.
  if (/\d\s*M$/.test(text)) return undefined
  return milliseconds(text, MAX_LONG_DURATION_MS, zero)
}

function milliseconds(text: string, max: number, zero: boolean): number | undefined {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseUnits(text)
  if (value === 0 && zero) return 0
  return value >= 1 && value <= max ? Math.round(value) : undefined
}

function parseUnits(value: string): number {
  const parsed = value.length > 0 && value.length <= 100 ? ms(value as ms.StringValue) : Number.NaN
  return typeof parsed === 'number' ? parsed : Number.NaN
}
