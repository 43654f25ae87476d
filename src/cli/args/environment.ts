import type { CommandName } from './command-names.ts'
import { nearestWord } from './nearest-word.ts'
import { parseReplicaUrl } from './replica-url.ts'
import {
  SETTING_ROWS,
  type SettingName,
  settingRow,
  settingsOf,
  variableOf,
} from './setting-lookup.ts'
import { UsageError } from './usage-error.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The settings of a command that the environment gives: `WALSYNC_SYNC_INTERVAL` for
 * `--sync-interval`. An empty variable counts as unset, as in a shell.
 *
 * @param given settings with a flag, which is stronger: their variables are not looked at
 * @throws UsageError that names the variable and never what it holds, which may be a secret in the wrong place
 */
export function settingsFromEnvironment(
  command: CommandName,
  env: Environment,
  given: ReadonlySet<string>,
): ReadonlyMap<SettingName, unknown> {
  const found = new Map<SettingName, unknown>()
  for (const [name] of [...settingsOf('all'), ...settingsOf(command)]) {
    const value = env[variableOf(name)]
    if (value !== undefined && value !== '' && !given.has(name)) found.set(name, read(name, value))
  }
  return found
}

/** Variables that look like a setting's and are none, each with the one that was probably meant. */
export function misspeltVariables(env: Environment): { name: string; meant: string }[] {
  const known = SETTING_ROWS.map(([name]) => variableOf(name))
  return Object.keys(env).flatMap((name) => {
    if (!name.startsWith(PREFIX) || known.includes(name) || OTHERS.has(name)) return []
    const off = known.find((each) => each === name.replace(`${PREFIX}NO_`, PREFIX))
    if (off !== undefined) return [{ name, meant: `${off}=false` }]
    const words = known.map((each) => each.slice(PREFIX.length))
    const meant = nearestWord(name.slice(PREFIX.length), words)
    return meant === undefined ? [] : [{ name, meant: `${PREFIX}${meant}` }]
  })
}

const PREFIX = 'WALSYNC_'
/** Read elsewhere. */
const OTHERS: ReadonlySet<string> = new Set(['WALSYNC_RUN_DIR', 'WALSYNC_HTTP_TOKEN'])

/** As the flag would give it: text, or what a switch or a list is. */
function read(name: SettingName, value: string): unknown {
  const { kind } = settingRow(name)
  const variable = variableOf(name)
  const parsed = kind.parse(value)
  if (parsed === undefined) {
    throw new UsageError(
      `The environment variable ${variable} does not hold ${kind.expected}.`,
      `Set ${variable} to ${kind.expected}, or unset it.`,
    )
  }
  if (name === 'bucket') assertBucket(variable, value)
  return kind.placeholder === undefined || kind.isRepeatable ? parsed : value
}

function assertBucket(variable: string, value: string): void {
  try {
    parseReplicaUrl(value, '/')
  } catch {
    throw new UsageError(
      `The environment variable ${variable} does not hold a replica URL, or it holds one with credentials.`,
      `Set ${variable} to a URL such as s3://bucket/prefix, and pass credentials as the provider's tools read them.`,
    )
  }
}
