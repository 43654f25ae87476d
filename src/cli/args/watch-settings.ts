import { z } from 'zod'
import type { TrackerOptions } from '../../core/engine/tracker-options.ts'
import { bytes, duration, integer, oneOf, parseFlags, text } from './flags.ts'
import { levelFlags, parseRetention, retentionFlags } from './retention-flags.ts'
import { WATCH_DEFAULTS } from './watch-defaults.ts'

/** What `--lease` takes. */
export const LEASES = ['newest', 'strict'] as const

/**
 * How one database is replicated, as text: the command line, one database of the configuration file
 * and the file's top level may each say a part of it, under the same names.
 */
export const settingFlags = z.object({
  syncInterval: duration(),
  pollInterval: duration(),
  snapshotInterval: duration({ zero: true }),
  snapshotAfterPages: integer(1, 2 ** 32 - 1).optional(),
  snapshotAfterSize: bytes().optional(),
  snapshotOnIdle: duration().optional(),
  snapshotAtStart: z.boolean().optional(),
  ...levelFlags.shape,
  prune: z.boolean(),
  ...retentionFlags.shape,
  verifyInterval: duration({ zero: true }),
  lease: oneOf(LEASES),
  fencing: z.boolean(),
  maxWalSize: bytes(),
  spoolDir: text('a folder').optional(),
  maxSpoolSize: bytes(),
})

export type SettingName = keyof typeof settingFlags.shape

/** What was said at one place: texts as typed, and switches. */
export type RawSettings = { readonly [name in SettingName]?: string | boolean | undefined }

type Settings = Omit<TrackerOptions, 'name' | 'path'>

/** The same in the units of the engine. Plain data, so that two can be compared. */
export type DatabaseSettings = {
  readonly [key in keyof Settings]-?: key extends 'spoolDir'
    ? Settings[key]
    : NonNullable<Settings[key]>
}

/**
 * What holds for a database: of each setting the last word.
 *
 * @param said from the general to the particular
 * @throws UsageError for a text that its setting does not take
 */
export function databaseSettings(...said: readonly RawSettings[]): DatabaseSettings {
  const flags = parseFlags(settingFlags, Object.assign({}, WATCH_DEFAULTS, ...said))
  return {
    syncIntervalMs: flags.syncInterval,
    pollIntervalMs: flags.pollInterval,
    snapshots: {
      intervalMs: flags.snapshotInterval,
      afterPages: flags.snapshotAfterPages,
      afterBytes: flags.snapshotAfterSize,
      onIdleMs: flags.snapshotOnIdle,
      atStart: flags.snapshotAtStart ?? false,
    },
    levels: flags.levels,
    retention: flags.prune ? parseRetention(flags) : 'none',
    verifyIntervalMs: flags.verifyInterval,
    lease: flags.fencing ? flags.lease : 'none',
    maxWalBytes: flags.maxWalSize,
    spoolDir: flags.spoolDir,
    maxSpoolBytes: flags.maxSpoolSize,
  }
}

/**
 * The settings among the flags that were typed. Rules of what stays ask for pruning, unless it was
 * forbidden in the same breath.
 */
export function givenSettings(
  flags: Readonly<Record<string, unknown>>,
  given: ReadonlySet<string>,
): RawSettings {
  const names = Object.keys(settingFlags.shape).filter((name) => given.has(name))
  const asksToPrune = names.some((name) => Object.hasOwn(retentionFlags.shape, name))
  return {
    ...(asksToPrune ? { prune: true } : {}),
    ...Object.fromEntries(names.map((name) => [name, flags[name] as string | boolean])),
  }
}
