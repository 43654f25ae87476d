import { DEFAULT_SYNC_BURST } from '../../core/engine/options.ts'
import { MAX_LEVEL } from '../../core/replica/replica-layout.ts'
import {
  choice,
  duration,
  durations,
  integer,
  list,
  longDuration,
  size,
  statements,
  text,
  toggle,
} from './kinds.ts'
import { PROCESS_SETTINGS } from './process-settings.ts'
import { PRUNE, type Setting, STORE, WATCH, WRITERS } from './setting.ts'

/*
 * Every setting of walsync, one row each.
 *
 * To add a setting:
 * 1. Write its row below or in process-settings.ts, in the group under which `--help` and the
 *    documentation list it.
 *    `maxLag` becomes the flag `--max-lag`, the variable `WALSYNC_MAX_LAG` and the key `max-lag`
 *    of the configuration file; the JSON schema and the tables of the documentation follow.
 *    A switch whose default is true gets the flag `--no-…`; its help says what turning it off does.
 * 2. Use its value. Scope `database`: in `databaseSettings` (database-settings.ts). Scope `process`:
 *    in `watchPlan` (watch/watch-plan.ts), or in a command by `settings('maxLag')` (flags.ts).
 * 3. Run `node scripts/reference.ts`, which renews walsync.schema.json and docs; tests compare them.
 *
 * What only makes sense for one run (`--force`, `--dry-run`, `--output`) is not a setting: it stays
 * with its command, in command-definitions.ts.
 */
export const SETTINGS = {
  bucket: {
    kind: text('a replica URL, a path that starts with / or ., or a bucket name', 'url'),
    help: 'Where the replicas are: an s3://, tigris://, gs://, az:// or file:// URL, a path that starts with / or ., or the name of an S3 bucket.',
    group: 'Store',
    scope: 'process',
    commands: STORE,
    short: '-b',
  },
  endpoint: {
    kind: text('the URL of a store', 'url'),
    help: 'Address of the store, for S3-compatible stores and emulators.',
    group: 'Store',
    scope: 'process',
    commands: 'all',
  },
  region: {
    kind: text('the name of a region', 'name'),
    help: 'Region of the store.',
    group: 'Store',
    scope: 'process',
    commands: 'all',
  },
  plugin: {
    kind: list('the name of a package or module', 'name'),
    help: 'Package or module that adds a kind of store; may be repeated.',
    group: 'Store',
    scope: 'process',
    commands: 'all',
    key: 'plugins',
  },
  restoreIfMissing: {
    kind: toggle(),
    default: false,
    help: 'Restore the newest state of the replica if there is no database.',
    group: 'Start',
    scope: 'database',
    commands: WATCH,
  },
  enableWal: {
    kind: toggle(),
    default: false,
    help: 'Switch a database to WAL mode if it is not.',
    group: 'Start',
    scope: 'database',
    commands: WATCH,
  },
  takeOverAfter: {
    kind: duration(),
    help: 'Take over from another process that replicates the same file after waiting this long (default: wait until it ends).',
    group: 'Start',
    scope: 'database',
    commands: WATCH,
  },
  wait: {
    kind: toggle(),
    default: false,
    help: 'Wait for databases that do not exist yet, as with -- COMMAND.',
    group: 'Start',
    scope: 'process',
    commands: WATCH,
    key: false,
  },

  syncInterval: {
    kind: duration(),
    default: '1s',
    help: 'Under continuous writes, upload changes of a database this often.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  syncBurst: {
    kind: integer(1, 1000),
    default: String(DEFAULT_SYNC_BURST),
    help: 'After a pause, upload up to this many changes in quick succession; one more is allowed per sync interval.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  pollInterval: {
    kind: duration(),
    default: '1s',
    help: 'Look for changes this often where the system reports none, and for new files.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  maxWalSize: {
    kind: size(),
    default: '64MB',
    help: 'Upper bound for the WAL; past a quarter of it walsync checkpoints eagerly.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  spoolDir: {
    kind: text('a folder', 'folder'),
    help: 'Where changes wait while the WAL is full, above all while the store is down (default: next to the database).',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  maxSpoolSize: {
    kind: size(),
    default: '1GB',
    help: 'Upper bound for the changes of one database that wait there.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  verifyInterval: {
    kind: duration({ zero: true }),
    default: '0',
    help: 'Verify the replica this often; 0: never.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  drillInterval: {
    kind: duration({ zero: true }),
    default: '0',
    help: 'Restore the newest state to a scratch folder this often, and check it; 0: never.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  drillAssert: {
    kind: statements(),
    help: 'SQL that must be true in the restored copy; may be repeated.',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },
  drillMaxAge: {
    kind: longDuration(),
    help: 'Fail the drill if what the copy lacks is older than this (default: any age).',
    group: 'Replication',
    scope: 'database',
    commands: WATCH,
  },

  singleWriter: {
    kind: choice(['newest', 'strict'], 'mode'),
    default: 'newest',
    help: 'newest: the newest writer takes over; strict: refuse to start while another claim is unreleased.',
    group: 'Writers',
    scope: 'database',
    commands: WATCH,
  },
  fencing: {
    kind: toggle(),
    default: true,
    help: 'Send no conditional writes and claim nothing, for a store that does not support them.',
    group: 'Writers',
    scope: 'database',
    commands: WRITERS,
  },

  snapshotInterval: {
    kind: duration({ zero: true }),
    default: '24h',
    help: 'Upload a full copy this often, if anything changed; 0: never.',
    group: 'Snapshots and compaction',
    scope: 'database',
    commands: WATCH,
    key: 'snapshot.interval',
  },
  snapshotAfterPages: {
    kind: integer(1, 2 ** 32 - 1),
    help: 'Upload a full copy after this many changed pages.',
    group: 'Snapshots and compaction',
    scope: 'database',
    commands: WATCH,
    key: 'snapshot.after-pages',
  },
  snapshotAfterSize: {
    kind: size(),
    help: 'Upload a full copy after this many uploaded bytes.',
    group: 'Snapshots and compaction',
    scope: 'database',
    commands: WATCH,
    key: 'snapshot.after-size',
  },
  snapshotOnIdle: {
    kind: duration(),
    help: 'Upload a full copy after this long without a change.',
    group: 'Snapshots and compaction',
    scope: 'database',
    commands: WATCH,
    key: 'snapshot.on-idle',
  },
  snapshotAtStart: {
    kind: toggle(),
    default: false,
    help: 'Upload a full copy when replication starts.',
    group: 'Snapshots and compaction',
    scope: 'database',
    commands: WATCH,
    key: 'snapshot.at-start',
  },
  levels: {
    kind: durations({ max: MAX_LEVEL, ascending: true }),
    default: '30s,5m,1h',
    help: 'Intervals of compaction levels 1, 2, 3 and so on; none: do not compact.',
    group: 'Snapshots and compaction',
    scope: 'database',
    commands: ['watch', 'compact'],
  },

  prune: {
    kind: toggle(),
    default: true,
    help: 'Delete nothing, whatever the retention rules say.',
    group: 'Retention',
    scope: 'database',
    commands: WATCH,
    key: false,
  },
  keepLevels: {
    kind: durations({ max: MAX_LEVEL + 1, zero: true }),
    default: '5m,24h,7d',
    help: 'How long to keep restore points at each granularity: every sync, every 30s, every 5m and so on.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-levels',
  },
  keepFor: {
    kind: longDuration(),
    help: 'Keep every restore point from this last period.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-for',
  },
  keepLast: {
    kind: integer(1, 1_000_000),
    help: 'Keep the newest <n> snapshots.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-last',
  },
  keepHourly: {
    kind: integer(1, 1_000_000),
    help: 'Keep the newest restore point of each of the last <n> hours.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-hourly',
  },
  keepDaily: {
    kind: integer(1, 1_000_000),
    help: 'Keep the newest restore point of each of the last <n> days.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-daily',
  },
  keepWeekly: {
    kind: integer(1, 1_000_000),
    help: 'Keep the newest restore point of each of the last <n> weeks.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-weekly',
  },
  keepMonthly: {
    kind: integer(1, 1_000_000),
    help: 'Keep the newest restore point of each of the last <n> months.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.keep-monthly',
  },
  minObjectAge: {
    kind: longDuration({ zero: true }),
    default: '5m',
    help: 'Delete no object younger than this, because a restore may be reading it.',
    group: 'Retention',
    scope: 'database',
    commands: PRUNE,
    key: 'retention.min-object-age',
  },

  ...PROCESS_SETTINGS,
} as const satisfies Readonly<Record<string, Setting>>
