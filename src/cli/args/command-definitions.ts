import { Command, Option } from 'commander'
import type { CommandName } from './command-names.ts'
import { flagOf, type SettingName, settingRow, settingsOf } from './setting-lookup.ts'

/** The command line of every command, in the order of `--help`. Handlers are elsewhere, so that `--help` loads none. */
export const COMMAND_DEFINITIONS: readonly (() => Command)[] = [
  watch,
  snapshot,
  restore,
  list,
  status,
  sync,
  verify,
  repair,
  compact,
  prune,
  unlock,
  config,
  doctor,
]

function watch(): Command {
  return withSettings('watch')
    .description('Replicate databases as they change, until SIGTERM or SIGINT.')
    .usage('[options] [DB...] [-b URL] [-- COMMAND [ARGS...]]')
    .argument('[databases...]', 'SQLite files in WAL mode (default: those of the file)')
    .option(
      '--name <name>',
      'name of the replica, for one database (default: the file name without extension)',
    )
}

function snapshot(): Command {
  return withSettings('snapshot')
    .description('Upload one full copy of a database now.')
    .usage('[options] DB -b URL')
    .argument('<database>', 'a SQLite file in WAL mode')
    .option('--name <name>', 'name of the replica (default: the file name without extension)')
}

function restore(): Command {
  return withSettings('restore')
    .description('Restore a database from a replica.')
    .usage('[options] NAME -b URL -o FILE')
    .argument('<name>', 'name of the replica, as walsync list shows it')
    .requiredOption('-o, --output <file>', 'Output file. Must not exist unless --force is given.')
    .option('--point-in-time <time>', 'state at a time: RFC 3339, or like "10m ago"')
    .option('--txid <txid>', 'state after a transaction: decimal, 0x and hex, or 16 hex digits')
    .option('--force', 'replace an existing file and its -wal, -shm and -journal')
    .option('--mode <octal>', 'permissions (default: of the replaced file, else by the umask)')
    .option('--owner <uid:gid>', 'owner in numbers (default: of the replaced file)')
    .option('--dry-run', 'print the restore plan and write nothing')
}

function list(): Command {
  return withSettings('list')
    .description('Show the databases of a store and the times they can be restored to.')
    .usage('[options] -b URL')
}

function status(): Command {
  return withSettings('status')
    .description('Show what the watchers of this machine and user are doing.')
    .usage('[options] [NAME...]')
    .argument('[names...]', 'replicas to show (default: all)')
}

function sync(): Command {
  return withSettings('sync')
    .description('Return when everything committed until now is in the store.')
    .usage('[options] [NAME...]')
    .argument('[names...]', 'replicas, as walsync status shows them (default: all)')
    .option('--wait', 'wait for the next upload that is due instead of uploading at once')
}

function verify(): Command {
  return withSettings('verify')
    .description('Say whether a replica is good, and what cannot be restored from it.')
    .usage('[options] NAME... -b URL')
    .argument('[names...]', 'replicas, as walsync list shows them')
    .option('--all', 'every replica of the store')
    .option('--quick', 'look at names and sizes only; read no object')
    .option('--restore', 'restore the newest state to a scratch file, and check that too')
    .option('--database <file>', 'the live database, to compare the restored pages with')
}

function repair(): Command {
  return withSettings('repair')
    .description('Give a damaged replica a new base from its database. Deletes nothing.')
    .usage('[options] DB -b URL')
    .argument('<database>', 'a SQLite file in WAL mode')
    .option('--name <name>', 'name of the replica (default: the file name without extension)')
    .option('--force', 'also when the newest state can be restored')
}

function compact(): Command {
  return withSettings('compact')
    .description('Merge small files of replicas into larger ones. Deletes nothing.')
    .usage('[options] NAME... -b URL')
    .argument('[names...]', 'replicas, as walsync list shows them')
    .option('--all', 'every replica of the store')
    .option('--dry-run', 'print what would be merged and write nothing')
}

function prune(): Command {
  return withSettings('prune')
    .description('Delete what the retention does not ask for.')
    .usage('[options] NAME... -b URL')
    .argument('[names...]', 'replicas, as walsync list shows them')
    .option('--all', 'every replica of the store')
    .option('--dry-run', 'print what would go and what stays restorable, and delete nothing')
}

function unlock(): Command {
  return withSettings('unlock')
    .description('Let watch --single-writer strict begin over a claim that nobody released.')
    .usage('[options] NAME -b URL')
    .argument('<name>', 'name of the replica, as walsync list shows it')
}

function config(): Command {
  return withSettings('config')
    .description('Check a configuration file, or print its JSON schema.')
    .usage('[options] check|schema')
    .argument('<action>', 'check or schema')
}

function doctor(): Command {
  return withSettings('doctor')
    .description('Try a store: credentials, permissions, conditional writes, clock, latency.')
    .usage('[options] -b URL')
    .option('--race <n>', 'also send so many create-only writes of one key at once', '0')
}

/** A command with the flags of all its settings. */
function withSettings(name: CommandName): Command {
  const command = new Command(name)
  for (const [setting] of settingsOf(name)) command.addOption(settingOption(setting))
  return command
}

/** The flag of a setting. */
export function settingOption(name: SettingName): Option {
  const { kind, default: standard, help, short } = settingRow(name)
  const flags = [short === undefined ? flagOf(name) : `${short}, ${flagOf(name)}`, kind.placeholder]
  const option = new Option(flags.filter((part) => part !== undefined).join(' '), help)
  if (typeof standard === 'string') option.default(standard)
  return kind.isRepeatable
    ? option.argParser((value: string, earlier: string[] = []) => [...earlier, value])
    : option
}
