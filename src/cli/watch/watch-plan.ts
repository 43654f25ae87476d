import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { nameDatabases } from '../args/database-names.ts'
import {
  type DatabaseSettings,
  databaseSettings,
  givenSettings,
} from '../args/database-settings.ts'
import { flag, parseFlags, settings } from '../args/flags.ts'
import { replicaName } from '../args/kinds.ts'
import { defaultsOf, keyOf, type LogLevel } from '../args/setting-lookup.ts'
import { UsageError } from '../args/usage-error.ts'
import type { Config, DatabasePlace } from '../config/config.ts'

/** Databases to watch, and how: one of the command line's or one entry of the file's `databases`. */
export interface WatchSource {
  readonly where: DatabasePlace
  /** Prefix of the one replica, in place of the file's name. */
  readonly name?: string | undefined
  /** What the prefixes of the replicas begin with. */
  readonly prefix?: string | undefined
  /** As the user wrote it; relative folders made absolute. */
  readonly bucket: string
  /** Its bucket is not the one of the command line or of the top level. */
  readonly hasOwnBucket: boolean
  readonly settings: DatabaseSettings
  /** `walsync.yml:12`; nothing for the command line. */
  readonly at?: string | undefined
}

/** All that one `watch` does, from the command line and the file. */
export interface WatchPlan {
  readonly sources: readonly WatchSource[]
  /** Nothing but the command line names the databases: what is wrong with one of them ends the start. */
  readonly isStrict: boolean
  /** Databases that do not exist yet are waited for. Always so for those of the file. */
  readonly mayWait: boolean
  /** A missing database begins a new history, whatever its replica holds. */
  readonly startFresh: boolean
  /** The application is started when the databases are ready. */
  readonly hasCommand: boolean
  readonly shutdownTimeoutMs: number
  readonly probe: boolean
  /** Where `status` asks; `undefined`: the usual place; `false`: nowhere. */
  readonly socket: string | false | undefined
  /** Where the page and the metrics are served; nowhere by default. */
  readonly http: string | undefined
  readonly httpTokenFile: string | undefined
  /** A lag above this is trouble. */
  readonly maxLagMs: number | undefined
  readonly heartbeat: { readonly url: URL; readonly intervalMs: number } | undefined
  /** Without a key its messages are not signed. */
  readonly webhook: { readonly url: URL; readonly key: Buffer | undefined } | undefined
  readonly logLevel?: LogLevel | undefined
  readonly config: Config | undefined
}

export interface WatchRequest {
  readonly operands: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
  /** Names of the flags that were typed; these are stronger than the file. */
  readonly given: ReadonlySet<string>
  readonly config: Config | undefined
  readonly cwd: string
  /** An application is started with the watcher (`-- COMMAND`). Default false. */
  readonly hasCommand?: boolean | undefined
}

/** How the process is observed: its socket, its page and its messages. */
const OBSERVATION = [
  'socket',
  'status',
  'http',
  'httpTokenFile',
  'maxLag',
  'heartbeatUrl',
  'heartbeatInterval',
  'webhookUrl',
  'webhookSecret',
] as const
/** What the command line and the top level of the file may say for the process as a whole. */
const PROCESS_SETTINGS = ['bucket', 'shutdownTimeout', 'probe', ...OBSERVATION] as const
/** What only the command line may say. */
const RUN_SETTINGS = ['wait'] as const

const planFlags = z.object({
  ...settings(...PROCESS_SETTINGS, ...RUN_SETTINGS),
  startFresh: z.boolean().optional(),
  name: flag(replicaName()).optional(),
})

/**
 * What the command line and the file ask for together. Nothing is opened or looked for yet.
 *
 * @throws UsageError for a flag's value, no database, no bucket, or databases in both places
 */
export function watchPlan(request: WatchRequest): WatchPlan {
  const { operands, flags, given, config, cwd, hasCommand = false } = request
  const typed = Object.fromEntries(Object.entries(flags).filter(([name]) => given.has(name)))
  const parsed = parseFlags(planFlags, {
    ...defaultsOf([...PROCESS_SETTINGS, ...RUN_SETTINGS]),
    ...fileValues(config),
    ...typed,
  })
  const typedSettings = givenSettings(flags, given)
  if (typeof typedSettings.spoolDir === 'string') {
    Object.assign(typedSettings, { spoolDir: resolve(cwd, typedSettings.spoolDir) })
  }
  const settingsOf = (entry = {}) => databaseSettings(config?.settings ?? {}, entry, typedSettings)
  const { name, bucket, shutdownTimeout, probe, status, socket, http, httpTokenFile } = parsed
  const { heartbeatUrl, heartbeatInterval, webhookUrl, webhookSecret } = parsed
  const common = {
    shutdownTimeoutMs: shutdownTimeout,
    startFresh: parsed.startFresh === true,
    hasCommand,
    probe,
    socket: status ? socket && resolve(cwd, socket) : (false as const),
    http,
    httpTokenFile: httpTokenFile && resolve(cwd, httpTokenFile),
    maxLagMs: parsed.maxLag,
    heartbeat: heartbeatUrl && { url: heartbeatUrl, intervalMs: heartbeatInterval },
    webhook: webhookUrl && { url: webhookUrl, key: webhookSecret },
    logLevel: config?.logLevel,
    config,
  }
  const isInFile = config?.databases !== undefined
  if (operands.length > 0 && !isInFile) {
    const named = nameDatabases(operands, { cwd, name })
    const settings = settingsOf()
    const sources = named.map(({ path, prefix }) => ({
      where: { kind: 'path', path } as const,
      name: prefix,
      bucket: requireBucket(bucket),
      hasOwnBucket: false,
      settings,
    }))
    return { ...common, sources, isStrict: true, mayWait: parsed.wait || hasCommand }
  }
  refuseMixture(operands, name, config)
  const sources = (config?.databases ?? []).map((entry) => {
    const own = typed.bucket === undefined ? entry.bucket : undefined
    return {
      where: entry.where,
      name: entry.name,
      prefix: entry.prefix,
      bucket: own ?? requireBucket(bucket, entry.at),
      hasOwnBucket: own !== undefined && own !== bucket,
      settings: settingsOf(entry.settings),
      at: entry.at,
    }
  })
  return { ...common, sources, isStrict: false, mayWait: true }
}

/**
 * What a running process cannot change, by the keys of the file: stores are opened with it, or it is
 * decided once.
 *
 * @returns the keys that differ
 */
export function fixedDifferences(before: WatchPlan, after: WatchPlan): string[] {
  const keys = ['endpoint', 'region', 'plugins', 'logFormat', ...OBSERVATION] as const
  const changed = keys.filter(
    (key) => !isDeepStrictEqual(before.config?.[key], after.config?.[key]),
  )
  return changed.map((key) => (key === 'plugins' ? key : (keyOf(key) ?? key)))
}

function fileValues(config: Config | undefined): Record<string, unknown> {
  const said = PROCESS_SETTINGS.map((name) => [name, config?.[name]] as const)
  return Object.fromEntries(said.filter(([, value]) => value !== undefined))
}

function requireBucket(bucket: string | undefined, at?: string): string {
  if (bucket !== undefined) return bucket
  const where = at === undefined ? 'No bucket was given' : `The database at ${at} has no bucket`
  throw new UsageError(
    `${where}: nothing says where the replicas are to be.`,
    'Give -b URL, set WALSYNC_BUCKET, or write bucket: into walsync.yml.',
  )
}

function refuseMixture(
  operands: readonly string[],
  name: string | undefined,
  config: Config | undefined,
): void {
  if (config?.databases === undefined) {
    const where =
      config === undefined ? 'there is no walsync.yml here' : `${config.label} names none`
    throw new UsageError(
      `No database was given, and ${where}.`,
      'Name databases (walsync watch app.db -b URL), or give a file with databases: by --config.',
    )
  }
  if (operands.length > 0) {
    throw new UsageError(
      `Databases are named on the command line and in ${config.label}.`,
      'Name them in one place.',
    )
  }
  if (name !== undefined) {
    throw new UsageError(
      `--name is for a database on the command line, and they are named in ${config.label}.`,
      'Write name: next to the path of that database.',
    )
  }
}
