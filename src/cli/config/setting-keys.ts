import { LEASES, type SettingName } from '../args/watch-settings.ts'
import type { Kind } from './file-value.ts'

/** Where a setting stands in the file, and what it is for. */
export interface SettingKey {
  /** `sync-interval`, or inside a group `snapshot.interval`. */
  readonly key: string
  readonly description: string
  /** What the file may say; a number counts as if it had been typed. Default: text or a number. */
  readonly kinds?: readonly Kind[] | undefined
  /** The only texts that it may be. */
  readonly words?: readonly string[] | undefined
}

/** `prune` has no key of its own: that is `retention: none`. */
export type FileSetting = Exclude<SettingName, 'prune'>

export const SETTING_KEYS: { readonly [name in FileSetting]: SettingKey } = {
  syncInterval: {
    key: 'sync-interval',
    description: 'A change after a pause is shipped at once; then at most one object in this time.',
  },
  pollInterval: {
    key: 'poll-interval',
    description:
      'Look this often where no file event comes, and for new files of a glob or folder.',
  },
  snapshotInterval: {
    key: 'snapshot.interval',
    description: 'Time between full copies, if anything changed; 0: not by time.',
  },
  snapshotAfterPages: {
    key: 'snapshot.after-pages',
    description: 'A full copy after so many changed pages.',
  },
  snapshotAfterSize: {
    key: 'snapshot.after-size',
    description: 'A full copy after so many shipped bytes.',
  },
  snapshotOnIdle: {
    key: 'snapshot.on-idle',
    description: 'A full copy after so long without a change.',
  },
  snapshotAtStart: {
    key: 'snapshot.at-start',
    description: 'A full copy when replication starts.',
  },
  levels: {
    key: 'levels',
    description: 'Intervals of the compaction levels 1, 2, 3 and so on; none: no compaction.',
    kinds: ['string', 'number', 'array'],
  },
  keepLevels: {
    key: 'retention.keep-levels',
    description: 'How long points stay that only a file of level 0, 1, 2 and so on ends at.',
    kinds: ['string', 'number', 'array'],
  },
  keepFor: { key: 'retention.keep-for', description: 'Keep every point of this time.' },
  keepLast: { key: 'retention.keep-last', description: 'Keep the newest snapshots.' },
  keepHourly: {
    key: 'retention.keep-hourly',
    description: 'Keep the newest point of each of the last hours.',
  },
  keepDaily: {
    key: 'retention.keep-daily',
    description: 'Keep the newest point of each of the last days.',
  },
  keepWeekly: {
    key: 'retention.keep-weekly',
    description: 'Keep the newest point of each of the last weeks.',
  },
  keepMonthly: {
    key: 'retention.keep-monthly',
    description: 'Keep the newest point of each of the last months.',
  },
  grace: { key: 'retention.grace', description: 'Delete no object younger than this.' },
  verifyInterval: {
    key: 'verify-interval',
    description: 'Verify the replica this often; 0: never.',
  },
  lease: {
    key: 'lease',
    description: "newest: the newest writer wins; strict: refuse to start over another's claim.",
    kinds: ['string'],
    words: LEASES,
  },
  fencing: {
    key: 'fencing',
    description: 'false: write to a store that does not enforce create-only writes.',
  },
  maxWalSize: { key: 'max-wal-size', description: 'What the WAL is kept under.' },
  spoolDir: {
    key: 'spool-dir',
    description: 'Where changes wait when the store is down and the WAL is full.',
    kinds: ['string'],
  },
  maxSpoolSize: {
    key: 'max-spool-size',
    description: 'The most that may wait there, for each database.',
  },
}

/** What a group is for. */
export const GROUPS: Readonly<Record<string, string>> = {
  snapshot: 'When a replica gets a further full copy of its database.',
  retention: "What of a replica's history stays; none: nothing is ever deleted.",
}

/** The settings of a group, or those outside of any (`undefined`): `[key there, name]`. */
export function keysOf(group: string | undefined): [string, FileSetting][] {
  return Object.entries(SETTING_KEYS).flatMap(([name, { key }]) => {
    const [first = '', second] = key.split('.')
    if (second === undefined) return group === undefined ? [[first, name as FileSetting]] : []
    return first === group ? [[second, name as FileSetting]] : []
  })
}

/** How the file writes a key that someone wrote as a flag: `snapshot-interval` is `snapshot.interval`. */
export function keyOfFlag(word: string): string | undefined {
  const name = word.replaceAll(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase())
  if (name === 'prune' || name === 'noPrune') return 'retention: none'
  if (name === 'noFencing') return 'fencing: false'
  return Object.hasOwn(SETTING_KEYS, name) ? SETTING_KEYS[name as FileSetting].key : undefined
}
