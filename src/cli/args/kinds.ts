import ms from 'ms'

/** What a value may be, whether it comes from the command line, the environment or a file. Pure, so that `--help` loads little. */
export interface Kind<T = unknown> {
  /** Completes "which is not …": `a duration such as 30s`. */
  readonly expected: string
  /** Stands for the value in `--help`; a switch has none. */
  readonly placeholder?: string | undefined
  /** The only values, where there are few. */
  readonly words?: readonly string[] | undefined
  /** Forms in a configuration file: a number counts as typed, a list as if joined with commas. */
  readonly inFile: readonly FileForm[]
  /** The flag may be given again, and each adds to the list. */
  readonly isRepeatable?: true
  /** No message shows what was given: it lets somebody in, or would if it were right. */
  readonly isSecret?: true
  /** @returns undefined for a text that is no such value */
  parse(text: string): T | undefined
}

export type FileForm = 'string' | 'number' | 'array' | 'boolean'

/** Node's timers overflow past 2^31 ms; 24 days is the last whole day below. */
const MAX_DURATION_MS = 24 * 24 * 3_600_000
const MAX_LONG_DURATION_MS = 100 * 365.25 * 24 * 3_600_000

/** `500ms`, `1s`, `2m`, `1h`, `1d`; a bare number is seconds, as in walsync 0.1. Gives milliseconds. */
export function duration(options: { readonly zero?: boolean | undefined } = {}): Kind<number> {
  const zero = options.zero === true
  return {
    expected: `a duration from 1ms to 24d such as 500ms, 30s or 1h (a bare number is seconds)${zero ? ', or 0' : ''}`,
    placeholder: '<duration>',
    inFile: ['string', 'number'],
    parse: (text) => milliseconds(text, MAX_DURATION_MS, zero),
  }
}

/** Like `duration`, for spans that no timer waits for: up to 100 years, with `w` and `y` (365.25 days) as well. Gives milliseconds. */
export function longDuration(options: { readonly zero?: boolean | undefined } = {}): Kind<number> {
  const zero = options.zero === true
  return {
    expected: `a duration up to 100y such as 12h, 30d, 8w or 1y (a bare number is seconds)${zero ? ', or 0' : ''}`,
    placeholder: '<duration>',
    inFile: ['string', 'number'],
    parse: (text) => longMs(text, zero),
  }
}

/** Several such durations, separated by commas, or `none` for no duration. Gives milliseconds. */
export function durations(options: {
  /** The most that may be given. */
  readonly max: number
  /** Each must be longer than the one before. */
  readonly ascending?: boolean | undefined
  /** Are durations of 0 allowed? */
  readonly zero?: boolean | undefined
}): Kind<readonly number[]> {
  const { max, ascending = false, zero = false } = options
  return {
    expected: `none or up to ${max} durations such as 30s,5m,1h${ascending ? ', each longer than the one before' : ''}`,
    placeholder: '<durations>',
    inFile: ['string', 'number', 'array'],
    parse(text) {
      if (text.trim() === 'none') return []
      const values = text.split(',').map((part) => longMs(part.trim(), zero))
      if (values.length > max || !values.every((value) => value !== undefined)) return undefined
      const sorted = values.every((value, i) => i === 0 || value > (values[i - 1] as number))
      return ascending && !sorted ? undefined : values
    },
  }
}

/** `64MB`, `1GiB`, `4096`: kB, MB and GB are powers of 1,000; KiB, MiB and GiB of 1,024. Gives bytes. */
export function size(): Kind<number> {
  return {
    expected: 'a size such as 64MB, 1GiB or 1048576',
    placeholder: '<size>',
    inFile: ['string', 'number'],
    parse(text) {
      const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$/i.exec(text)
      if (match === null) return undefined
      const [, digits, unit, binary] = match
      if (binary !== '' && unit === '') return undefined
      const power = ['', 'k', 'm', 'g', 't'].indexOf((unit ?? '').toLowerCase())
      const value = Math.round(Number(digits) * (binary === '' ? 1000 : 1024) ** power)
      return value >= 1 && Number.isSafeInteger(value) ? value : undefined
    },
  }
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number): Kind<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    placeholder: '<n>',
    inFile: ['string', 'number'],
    parse(text) {
      const value = Number(text)
      return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined
    },
  }
}

/** On or off. As text `true` or `false`, or 1 or 0, because an environment variable has no other form. */
export function toggle(): Kind<boolean> {
  const meaning = new Map([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])
  return {
    expected: 'true or false',
    inFile: ['boolean'],
    parse: (text) => meaning.get(text),
  }
}

/** One of a closed list of words. */
export function choice<const T extends string>(words: readonly T[], name: string): Kind<T> {
  return {
    expected: `one of ${words.join(', ')}`,
    placeholder: `<${name}>`,
    words,
    inFile: ['string'],
    parse: (text) => words.find((word) => word === text),
  }
}

/** Any text but an empty one: an unset shell variable is the usual reason for `-b ""`. */
export function text(expected: string, name: string): Kind<string> {
  return {
    expected,
    placeholder: `<${name}>`,
    inFile: ['string'],
    parse: (value) => (value.trim() === '' ? undefined : value),
  }
}

/** The name of a replica. Control characters would break the lines that it is printed in. */
export function replicaName(): Kind<string> {
  const { parse, ...kind } = text('a name', 'name')
  return { ...kind, parse: (value) => (/\p{Cc}/u.test(value) ? undefined : parse(value)) }
}

/** An http or https URL with a token in it, as monitors and chat services give them out. */
export function secretUrl(): Kind<URL> {
  return {
    expected: 'a URL that starts with http:// or https://',
    placeholder: '<url>',
    inFile: ['string'],
    isSecret: true,
    parse(value) {
      const url = URL.parse(value.trim())
      return url !== null && /^https?:$/.test(url.protocol) ? url : undefined
    },
  }
}

/** The key of a signature: `whsec_` and base64, or any text. Gives the bytes of the key. */
export function signingKey(): Kind<Buffer> {
  return {
    expected: `a secret of at least ${MIN_KEY_BYTES} characters, or whsec_ and at least ${MIN_KEY_BYTES} bytes in base64`,
    placeholder: '<secret>',
    inFile: ['string'],
    isSecret: true,
    parse(value) {
      const coded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1]
      if (value.startsWith('whsec_') && coded === undefined) return undefined
      const key = coded === undefined ? Buffer.from(value) : Buffer.from(coded, 'base64')
      return key.length >= MIN_KEY_BYTES ? key : undefined
    },
  }
}

/** A shorter key could be guessed. */
const MIN_KEY_BYTES = 16

/** Several texts: the flag is repeated, a variable separates them with commas. */
export function list(expected: string, name: string): Kind<readonly string[]> {
  return {
    expected,
    placeholder: `<${name}>`,
    inFile: ['array'],
    isRepeatable: true,
    parse(value) {
      const items = value.split(',').map((item) => item.trim())
      return items.includes('') ? undefined : items
    },
  }
}

/** SQL statements, which may contain commas: the flag is repeated, a variable holds one. */
export function statements(): Kind<readonly string[]> {
  return {
    expected: 'an SQL statement',
    placeholder: '<sql>',
    inFile: ['array'],
    isRepeatable: true,
    parse: (value) => (value.trim() === '' ? undefined : [value]),
  }
}

/** A file whose ending says how a report is written. */
export function reportFile(): Kind<string> {
  return {
    expected: 'a file that ends with .html, .json or .xml',
    placeholder: '<file>',
    inFile: [],
    parse: (text) => (/[^/]\.(?:html|json|xml)$/i.test(text) ? text : undefined),
  }
}

/** Permission bits as chmod takes them: `640`, `0640`. */
export function fileMode(): Kind<number> {
  return {
    expected: 'permissions in octal such as 0640',
    placeholder: '<octal>',
    inFile: [],
    parse: (text) => (/^0?[0-7]{3}$/.test(text) ? Number.parseInt(text, 8) : undefined),
  }
}

/** `uid:gid` in numbers, as a volume has them whose users this machine does not know. */
export function owner(): Kind<{ readonly uid: number; readonly gid: number }> {
  return {
    expected: 'a user and a group in numbers such as 1000:1000',
    placeholder: '<uid:gid>',
    inFile: [],
    parse(text) {
      const match = /^(\d{1,10}):(\d{1,10})$/.exec(text)
      const [uid, gid] = [Number(match?.[1]), Number(match?.[2])]
      return uid <= MAX_ID && gid <= MAX_ID ? { uid, gid } : undefined
    },
  }
}

/** 2^32 - 1 is -1, which chown takes for "leave it". */
const MAX_ID = 2 ** 32 - 2

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
