import { dirname, resolve } from 'node:path'
import { parseReplicaUrl } from '../args/replica-url.ts'
import type { LogFormat, LogLevel } from '../args/setting-lookup.ts'
import { UsageError } from '../args/usage-error.ts'
import type { Config } from './config.ts'
import { readDatabase } from './config-database.ts'
import { ConfigDocument } from './config-document.ts'
import { type ConfigPath, type ConfigProblem, configError } from './config-problem.ts'
import { configSchema } from './config-schema.ts'
import { type Env, expandEnv } from './expand-env.ts'
import { refusal } from './file-value.ts'
import { bucketFrom, isMapping, type Mapping, readSettings } from './mapping.ts'
import { schemaProblems } from './schema-problems.ts'

/**
 * Reads the text of a configuration file: YAML or JSON, then `${NAME}` in its texts, then its shape.
 *
 * @param path absolute
 * @param label the file as messages call it
 * @throws UsageError with everything that is wrong, by line
 */
export function parseConfig(text: string, path: string, label: string, env: Env): Config {
  const document = new ConfigDocument(text)
  if (document.problems.length > 0) throw configError(label, document.problems)
  const problems: ConfigProblem[] = []
  const filled: FilledText[] = []
  document.mapTexts((value, at) => {
    const expanded = expandEnv(value, env)
    if ('text' in expanded) {
      const { values } = expanded
      if (values.length > 0) filled.push({ path: at, values })
      return expanded.text
    }
    problems.push({ ...document.positionOf(at), path: at, text: expanded.problem })
    return value
  })
  const data = toMapping(document, label)
  const parsed = configSchema.safeParse(data)
  const isKnown = (at: ConfigPath) => problems.some(({ path }) => path.join('.') === at.join('.'))
  if (!parsed.success) {
    const found = schemaProblems(parsed.error.issues, data, document)
    problems.push(...found.filter(({ path }) => !isKnown(path)))
  }
  const note = (at: ConfigPath, text: string): void => {
    if (!isKnown(at)) problems.push({ ...document.positionOf(at), path: at, text })
  }
  const config = readConfig(parsed.data ?? data, path, label, document, note)
  if (problems.length === 0) return config
  throw configError(
    label,
    problems.map((problem) => concealValues(problem, filled)),
  )
}

function toMapping(document: ConfigDocument, label: string): Mapping {
  const problem = (text: string) => configError(label, [{ line: 1, column: 1, path: [], text }])
  let data: unknown
  try {
    data = document.toJS()
  } catch (cause) {
    throw problem(`cannot be read: ${(cause as Error).message}`)
  }
  if (data === null || data === undefined) throw problem('the file is empty; it needs databases:')
  if (typeof data === 'object' && !Array.isArray(data)) return data as Mapping
  throw problem(refusal(data, 'a group of keys such as bucket: and databases:'))
}

/** Also of a file with problems, as far as it goes, so that one run finds them all. */
function readConfig(
  data: Mapping,
  path: string,
  label: string,
  document: ConfigDocument,
  note: (at: ConfigPath, text: string) => void,
): Config {
  const folder = dirname(path)
  const { bucket, databases } = data
  const urls = [{ at: ['bucket'] as ConfigPath, url: bucket }]
  const list = Array.isArray(databases) ? databases.filter(isMapping) : []
  const read = list.map((entry) => {
    const at = ['databases', (databases as unknown[]).indexOf(entry)]
    urls.push({ at: [...at, 'bucket'], url: entry.bucket })
    const { line } = document.positionOf(at)
    const say = (inside: ConfigPath, text: string) => note([...at, ...inside], text)
    return readDatabase(entry, folder, `${label}:${line}`, say)
  })
  for (const { at, url } of urls) {
    const problem = urlProblem(url, folder, data)
    if (problem !== undefined) note(at, problem)
  }
  if (Array.isArray(databases) && databases.length === 0) {
    note(['databases'], 'is an empty list; leave the key out, or name a path, glob or folder')
  }
  const text = (key: string) => (typeof data[key] === 'string' ? data[key] : undefined)
  const flag = (key: string) => (typeof data[key] === 'boolean' ? data[key] : undefined)
  const pathOf = (key: string) => {
    const found = text(key)
    return found === undefined ? undefined : resolve(folder, found)
  }
  return {
    path,
    label,
    bucket: bucketFrom(bucket, folder),
    endpoint: text('endpoint'),
    region: text('region'),
    plugins: Array.isArray(data.plugins) ? data.plugins.map((name) => String(name)) : [],
    logLevel: text('log-level') as LogLevel | undefined,
    logFormat: text('log-format') as LogFormat | undefined,
    socket: pathOf('socket'),
    status: flag('status'),
    http: text('http'),
    httpTokenFile: pathOf('http-token-file'),
    maxLag: text('max-lag'),
    heartbeatUrl: text('heartbeat-url'),
    heartbeatInterval: text('heartbeat-interval'),
    webhookUrl: text('webhook-url'),
    webhookSecret: text('webhook-secret'),
    probe: flag('probe'),
    shutdownTimeout: text('shutdown-timeout'),
    settings: readSettings(data, folder),
    databases: databases === undefined ? undefined : read,
  }
}

/** A text of the file that holds what variables of the environment hold. */
interface FilledText {
  readonly path: ConfigPath
  readonly values: readonly string[]
}

/**
 * The same problem without what a variable holds: it may be a secret that stands at the wrong place, and
 * what is printed ends in the logs of build machines.
 */
function concealValues(problem: ConfigProblem, filled: readonly FilledText[]): ConfigProblem {
  const inside = filled.filter(({ path }) => problem.path.every((part, i) => part === path[i]))
  if (inside.length === 0) return problem
  const expected = /^got .*?, which is not (.*)$/s.exec(problem.text)?.[1]
  if (expected !== undefined) {
    return { ...problem, text: `with its variables filled in is not ${expected}` }
  }
  const isShown = inside.some(({ values }) => values.some((value) => problem.text.includes(value)))
  if (!isShown && problem.path.at(-1) !== 'bucket') return problem
  return {
    ...problem,
    text: 'is refused with its variables filled in; what they hold is not shown',
  }
}

/** What is wrong with a `bucket`, if anything. Its text is not repeated: it may hold what should not be shown. */
function urlProblem(url: unknown, folder: string, top: Mapping): string | undefined {
  if (typeof url !== 'string') return undefined
  try {
    const { protocol, pathname } = parseReplicaUrl(url, folder)
    const given = ['endpoint', 'region'].find((key) => top[key] !== undefined)
    if (protocol !== 'file:' || given === undefined) return undefined
    return `is the folder ${pathname}, for which ${given} has no meaning; write ${given} into the URLs of the other buckets (?${given}=…)`
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return `is refused: ${error.message.replace(/\.$/, '')}; ${error.hint}`
  }
}
