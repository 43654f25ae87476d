import { z } from 'zod'
import type { TrackerOptions } from '../../core/engine/options.ts'
import type { RetentionPolicy } from '../../core/retention/retention-policy.ts'
import { parseFlags, settings } from './flags.ts'
import {
  DATABASE_SETTINGS,
  type DatabaseSetting,
  defaultsOf,
  flagOf,
  type SettingValue,
} from './setting-lookup.ts'
import { UsageError } from './usage-error.ts'

/** As typed: a text, a switch, or the texts of a flag that may be repeated. */
export type RawSetting = string | boolean | readonly string[]

/** What was said at one place. */
export type RawSettings = { readonly [name in DatabaseSetting]?: RawSetting | undefined }

type Settings = Omit<TrackerOptions, 'name' | 'path' | 'handOverLock' | 'lastDrillAt'>

/** The same in the units of the engine. Plain data, so that two can be compared. */
export type DatabaseSettings = StartSettings & {
  readonly [key in keyof Settings]-?: key extends 'spoolDir'
    ? Settings[key]
    : NonNullable<Settings[key]>
}

/** What happens before a database is replicated; the engine does not know these. */
interface StartSettings {
  /** Restore the newest state where there is no file. */
  readonly restoreIfMissing: boolean
  /** Switch a database that keeps a rollback journal to WAL mode. */
  readonly enableWal: boolean
  /** Take over from another process that replicates the same file after waiting so long, in milliseconds; `undefined`: never. */
  readonly takeOverAfterMs: number | undefined
}

const schema = z.object(settings(...DATABASE_SETTINGS))

/**
 * The settings that apply to a database: each from the last place that says it.
 *
 * @param said from the general to the particular
 * @throws UsageError for a text that its setting does not take, and for a drill without an interval
 */
export function databaseSettings(...said: readonly RawSettings[]): DatabaseSettings {
  refuseIdleDrills(said)
  const flags = parseFlags(schema, Object.assign(defaultsOf(DATABASE_SETTINGS), ...said))
  return {
    restoreIfMissing: flags.restoreIfMissing,
    enableWal: flags.enableWal,
    takeOverAfterMs: flags.takeOverAfter,
    syncIntervalMs: flags.syncInterval,
    syncBurst: flags.syncBurst,
    pollIntervalMs: flags.pollInterval,
    snapshots: {
      intervalMs: flags.snapshotInterval,
      afterPages: flags.snapshotAfterPages,
      afterBytes: flags.snapshotAfterSize,
      onIdleMs: flags.snapshotOnIdle,
      atStart: flags.snapshotAtStart,
    },
    levels: flags.levels,
    retention: flags.prune ? retentionPolicy(flags) : 'none',
    verifyIntervalMs: flags.verifyInterval,
    drill: {
      intervalMs: flags.drillInterval,
      assertions: flags.drillAssert ?? [],
      maxAgeMs: flags.drillMaxAge,
    },
    singleWriter: flags.fencing ? flags.singleWriter : 'none',
    maxWalBytes: flags.maxWalSize,
    spoolDir: flags.spoolDir,
    maxSpoolBytes: flags.maxSpoolSize,
  }
}

/** Whoever says what a drill has to show expects drills; an interval of 0 turns them off knowingly. */
function refuseIdleDrills(said: readonly RawSettings[]): void {
  const saidAnywhere = (name: DatabaseSetting) => said.some((raw) => raw[name] !== undefined)
  const asked = (['drillAssert', 'drillMaxAge'] as const).find(saidAnywhere)
  if (asked === undefined || saidAnywhere('drillInterval')) return
  throw new UsageError(
    `${flagOf(asked)} was given without ${flagOf('drillInterval')}, so that no drill would run.`,
    `Give ${flagOf('drillInterval')} 24h as well.`,
  )
}

/** The settings that say what of a replica's history stays. */
export const RETENTION_SETTINGS = [
  'keepLevels',
  'keepFor',
  'keepLast',
  'keepHourly',
  'keepDaily',
  'keepWeekly',
  'keepMonthly',
  'minObjectAge',
] as const
type RetentionSetting = (typeof RETENTION_SETTINGS)[number]

export function retentionPolicy(
  flags: {
    readonly [name in RetentionSetting]: SettingValue<name>
  },
): RetentionPolicy {
  return {
    levelKeepMs: flags.keepLevels,
    keepForMs: flags.keepFor,
    keepLast: flags.keepLast,
    keepHourly: flags.keepHourly,
    keepDaily: flags.keepDaily,
    keepWeekly: flags.keepWeekly,
    keepMonthly: flags.keepMonthly,
    minObjectAgeMs: flags.minObjectAge,
  }
}

/**
 * The settings among the flags that were given. Retention rules ask for pruning, unless it is
 * turned off at the same place.
 */
export function givenSettings(
  flags: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
): RawSettings {
  const names = DATABASE_SETTINGS.filter((name) => given.has(name))
  const asksToPrune = RETENTION_SETTINGS.some((name) => given.has(name))
  return {
    ...(asksToPrune ? { prune: true } : {}),
    ...Object.fromEntries(names.map((name) => [name, flags[name] as RawSetting])),
  }
}
