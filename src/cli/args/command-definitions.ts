import { Command } from 'commander'
import { PROCESS_DEFAULTS, WATCH_DEFAULTS } from './watch-defaults.ts'

/** The command line of every command, in the order of `--help`. Handlers are elsewhere, so that `--help` loads none. */
export const COMMAND_DEFINITIONS: readonly (() => Command)[] = [
  watch,
  snapshot,
  restore,
  list,
  status,
  verify,
  repair,
  compact,
  prune,
  unlock,
  config,
  doctor,
]

function watch(): Command {
  const command = withConfig(new Command('watch').option(...BUCKET))
    .description('Replicate databases as they change, until SIGTERM or SIGINT.')
    .usage('[options] [DB...] [-b URL] [-- COMMAND [ARGS...]]')
    .argument('[databases...]', 'SQLite files in WAL mode (default: those of the file)')
    .option(
      '--name <name>',
      'name of the replica, for one database (default: the file name without extension)',
    )
    .option(
      '--sync-interval <duration>',
      'at most one object a database in this time',
      WATCH_DEFAULTS.syncInterval,
    )
    .option(
      '--poll-interval <duration>',
      'look this often where no file event comes, and for new files',
      WATCH_DEFAULTS.pollInterval,
    )
    .option(
      '--snapshot-interval <duration>',
      'a full copy this often, if anything changed; 0: not by time',
      WATCH_DEFAULTS.snapshotInterval,
    )
    .option('--snapshot-after-pages <n>', 'a full copy after so many changed pages')
    .option('--snapshot-after-size <size>', 'a full copy after so many shipped bytes')
    .option('--snapshot-on-idle <duration>', 'a full copy after so long without a change')
    .option('--snapshot-at-start', 'a full copy when replication starts')
    .option(
      '--levels <intervals>',
      'intervals of the compaction levels 1, 2, 3 and so on; none: no compaction',
      DEFAULT_LEVELS,
    )
  return withRetention(command)
    .option('--no-prune', 'delete nothing, whatever the retention is')
    .option(
      '--verify-interval <duration>',
      'verify the replicas this often; 0: never',
      WATCH_DEFAULTS.verifyInterval,
    )
    .option('--max-wal-size <size>', 'what the WAL is kept under', WATCH_DEFAULTS.maxWalSize)
    .option(
      '--spool-dir <folder>',
      'where changes wait when the store is down and the WAL is full (default: beside the database)',
    )
    .option(
      '--max-spool-size <size>',
      'the most that may wait in that folder, for each database',
      WATCH_DEFAULTS.maxSpoolSize,
    )
    .option(
      '--shutdown-timeout <duration>',
      'the most that the final sync may take',
      PROCESS_DEFAULTS.shutdownTimeout,
    )
    .option('--no-probe', 'do not try at start what the store can do')
    .option(
      '--lease <mode>',
      "newest: the newest writer wins; strict: refuse to start over another's claim",
      WATCH_DEFAULTS.lease,
    )
    .option('--no-fencing', 'claim nothing: for a store that does not enforce create-only writes')
    .option('--socket <path>', 'where walsync status asks (default: one for each process)')
    .option('--no-status', 'open no socket for walsync status')
}

function snapshot(): Command {
  return withBucket(new Command('snapshot'))
    .description('Upload one full copy of a database now.')
    .usage('[options] DB -b URL')
    .argument('<database>', 'a SQLite file in WAL mode')
    .option('--name <name>', 'name of the replica (default: the file name without extension)')
    .option('--no-fencing', 'send no conditional write: for a store that answers 501 to them')
}

function restore(): Command {
  return withBucket(new Command('restore'))
    .description('Bring a database back.')
    .usage('[options] NAME -b URL -o FILE')
    .argument('<name>', 'name of the replica, as walsync list shows it')
    .requiredOption('-o, --output <file>', 'the file to write; must not exist, but for --force')
    .option('--point-in-time <time>', 'state at a time: RFC 3339, or like "10m ago"')
    .option('--txid <txid>', 'state after a transaction: decimal, 0x and hex, or 16 hex digits')
    .option('--force', 'replace an existing file and its -wal, -shm and -journal')
    .option('--mode <octal>', 'permissions (default: of the replaced file, else by the umask)')
    .option('--owner <uid:gid>', 'owner in numbers (default: of the replaced file)')
    .option('--dry-run', 'print the restore plan and write nothing')
    .option(
      '--integrity-check <kind>',
      'PRAGMA to run before the file is put in place: full, quick or none',
      'full',
    )
    .option('--parallelism <n>', 'parallel reads from the store, 1 to 64', '8')
}

function list(): Command {
  return withBucket(new Command('list'))
    .description('Show the databases of a store and the times they can be restored to.')
    .usage('[options] -b URL')
}

function status(): Command {
  return new Command('status')
    .description('Show what the watchers of this machine and user are doing.')
    .usage('[options] [NAME...]')
    .argument('[names...]', 'replicas to show (default: all)')
    .option('--socket <path>', "a watcher's socket (default: those of all watchers)")
    .option('--max-lag <duration>', 'a lag above this is trouble (default: no lag is)')
}

function verify(): Command {
  return withBucket(new Command('verify'))
    .description('Say whether a replica is good, and what cannot be restored from it.')
    .usage('[options] NAME... -b URL')
    .argument('[names...]', 'replicas, as walsync list shows them')
    .option('--all', 'every replica of the store')
    .option('--quick', 'look at names and sizes only; read no object')
    .option('--restore', 'restore the newest state to a scratch file, and check that too')
    .option('--database <file>', 'the live database, to compare the restored pages with')
}

function repair(): Command {
  return withBucket(new Command('repair'))
    .description('Give a damaged replica a new base from its database. Deletes nothing.')
    .usage('[options] DB -b URL')
    .argument('<database>', 'a SQLite file in WAL mode')
    .option('--name <name>', 'name of the replica (default: the file name without extension)')
    .option('--force', 'also when the newest state can be restored')
    .option('--no-fencing', 'send no conditional write: for a store that answers 501 to them')
}

function compact(): Command {
  return withBucket(new Command('compact'))
    .description('Merge small files of replicas into larger ones. Deletes nothing.')
    .usage('[options] NAME... -b URL')
    .argument('[names...]', 'replicas, as walsync list shows them')
    .option('--all', 'every replica of the store')
    .option('--levels <intervals>', 'intervals of the levels 1, 2, 3 and so on', DEFAULT_LEVELS)
    .option('--dry-run', 'print what would be merged and write nothing')
    .option('--no-fencing', 'send no conditional write: for a store that answers 501 to them')
}

function prune(): Command {
  const command = withBucket(new Command('prune'))
    .description('Delete what the retention does not ask for.')
    .usage('[options] NAME... -b URL')
    .argument('[names...]', 'replicas, as walsync list shows them')
    .option('--all', 'every replica of the store')
  return withRetention(command).option(
    '--dry-run',
    'print what would go and what stays restorable, and delete nothing',
  )
}

function unlock(): Command {
  return withBucket(new Command('unlock'))
    .description('Let watch --lease strict begin over a claim that nobody released.')
    .usage('[options] NAME -b URL')
    .argument('<name>', 'name of the replica, as walsync list shows it')
}

function config(): Command {
  const command = new Command('config')
    .description('Check a configuration file, or print its JSON schema.')
    .usage('[options] check|schema')
    .argument('<action>', 'check or schema')
  return withConfig(command)
}

function doctor(): Command {
  return withBucket(new Command('doctor'))
    .description('Try a store: credentials, permissions, conditional writes, clock, latency.')
    .usage('[options] -b URL')
    .option('--race <n>', 'also send so many create-only writes of one key at once', '0')
}

function withBucket(command: Command): Command {
  return command.requiredOption(...BUCKET)
}

function withConfig(command: Command): Command {
  return command.option(
    '--config <file>',
    'configuration file, YAML or JSON (default: walsync.yml here, if no database is named)',
  )
}

function withRetention(command: Command): Command {
  return command
    .option(
      '--keep-levels <durations>',
      'how long points stay that only a file of level 0, 1, 2 and so on ends at',
      DEFAULT_LEVEL_KEEP,
    )
    .option('--keep-for <duration>', 'keep every point of this time')
    .option('--keep-last <n>', 'keep the newest snapshots')
    .option('--keep-hourly <n>', 'keep the newest point of each of the last hours')
    .option('--keep-daily <n>', 'keep the newest point of each of the last days')
    .option('--keep-weekly <n>', 'keep the newest point of each of the last weeks')
    .option('--keep-monthly <n>', 'keep the newest point of each of the last months')
    .option('--grace <duration>', 'delete no object younger than this', WATCH_DEFAULTS.grace)
}

const BUCKET = [
  '-b, --bucket <url>',
  'where the replicas are: s3://, tigris://, gs://, az:// or file:// URL, a path that starts with / or ., or an S3 bucket',
] as const
const DEFAULT_LEVELS = WATCH_DEFAULTS.levels
const DEFAULT_LEVEL_KEEP = WATCH_DEFAULTS.keepLevels
