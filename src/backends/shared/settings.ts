import { StoreError } from '../../core/store/index.ts'

export type Env = Readonly<Record<string, string | undefined>>

export interface SettingNames {
  /** What messages call the store, such as `An S3 store`. */
  readonly store: string
  /** Allowed as an option and in the URL's query. */
  readonly inUrl: readonly string[]
  /** Allowed only as an option. */
  readonly optionOnly: readonly string[]
}

/** The settings of one store: its options and the query of its URL; options take precedence. */
export class Settings {
  readonly #values: Readonly<Record<string, unknown>>

  /** @throws StoreError `InvalidArgument` for a setting that the store does not know */
  constructor(url: URL, options: Readonly<Record<string, unknown>>, names: SettingNames) {
    const values: Record<string, unknown> = {}
    for (const [name, value] of url.searchParams) {
      if (!names.inUrl.includes(name))
        throw unknownSetting(names.store, name, names.inUrl, ' in its URL')
      values[name] = value
    }
    const known = [...names.inUrl, ...names.optionOnly]
    for (const [name, value] of Object.entries(options)) {
      if (name === 'signal' || value === undefined) continue
      if (!known.includes(name)) throw unknownSetting(names.store, name, known, '')
      values[name] = value
    }
    this.#values = values
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    if (value === undefined || value === '') return undefined
    if (typeof value === 'string') return value
    throw invalidOption(`The option ${name} is not a string.`, `Give ${name} as a string.`)
  }

  flag(name: string): boolean | undefined {
    const value = this.#values[name]
    if (value === undefined || typeof value === 'boolean') return value
    if (value === 'true' || value === 'false') return value === 'true'
    throw invalidOption(`The option ${name} is not a boolean.`, 'Give true or false.')
  }

  count(name: string, standard: number, least: number): number {
    const value = this.#values[name] ?? standard
    if (Number.isSafeInteger(value) && (value as number) >= least) return value as number
    throw invalidOption(
      `The option ${name} is ${String(value)}.`,
      `Give a whole number of at least ${least}.`,
    )
  }
}

/** The URL's path as a key prefix, without slashes at its ends. */
export function parsePrefix(url: URL): string {
  const prefix = decodePath(url.pathname).replace(/^\/+|\/+$/g, '')
  const dotted = prefix !== '' && prefix.split('/').some((segment) => /^\.{0,2}$/.test(segment))
  if (!dotted && prefix.length <= MAX_PREFIX) return prefix
  throw invalidOption(
    `The prefix ${JSON.stringify(prefix.slice(0, 100))} has an empty or dotted segment or over ${MAX_PREFIX} characters.`,
    'Use plain path segments.',
  )
}

/** With a key of 512 bytes after it, it must fit into the services' limit of 1,024. */
const MAX_PREFIX = 400

/** @throws StoreError `InvalidArgument` unless it is an http or https URL without credentials */
export function parseEndpointUrl(value: string, standardScheme = 'https'): URL {
  const withScheme = value.includes('://') ? value : `${standardScheme}://${value}`
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined
  if (url !== undefined && (url.username !== '' || url.password !== '')) {
    throw invalidOption(
      `The endpoint ${url.host} carries credentials; they would show in process lists and logs.`,
      'Take them out of the URL and pass them in the environment.',
    )
  }
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url
  throw invalidOption(
    `The endpoint ${JSON.stringify(value.replace(/\/\/[^/]*@/, '//'))} is not an http or https URL.`,
    'Give it as https://host or http://host:port.',
  )
}

export function nonEmpty(value: string | undefined): string | undefined {
  return value === '' ? undefined : value
}

export function invalidOption(message: string, hint: string): StoreError {
  return new StoreError('InvalidArgument', message, { op: 'open', hint })
}

function unknownSetting(
  store: string,
  name: string,
  known: readonly string[],
  where: string,
): StoreError {
  return invalidOption(
    `${store} has no setting ${JSON.stringify(name)}${where}.`,
    `It has ${known.join(', ')}.`,
  )
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalidOption(`The URL's path ${path} is not percent-encoded.`, 'Write % as %25.')
  }
}
