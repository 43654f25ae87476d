import { Command, Option } from 'commander'
import type { CommandName } from './command-names.ts'
import { flagOf, type SettingName, settingRow, settingsOf } from './setting-lookup.ts'

/** The command line of every command, in the order of `--help`. Handlers are elsewhere, so that `--help` loads none. */
export const COMMAND_DEFINITIONS: { readonly [name in CommandName]: () => Command } = {
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
}

function watch(): Command {
  return define('watch', {
    does: 'Replicate databases as they change, until SIGTERM or SIGINT.',
    usage: '[DB...] [-b URL] [options] [-- COMMAND [ARGS...]]',
    examples: [
      'walsync watch app.db -b s3://bucket/backups',
      'walsync watch app.db -b ./replica --restore-if-missing -- node server.js',
      'walsync watch --config /etc/walsync.yml',
    ],
    own: (command) =>
      command
        .argument('[databases...]', 'SQLite files in WAL mode (default: those of the file).')
        .option('--name <name>', NAME)
        .option('--start-fresh', 'If there is no database, begin a new history after the old one.'),
  })
}

function snapshot(): Command {
  return define('snapshot', {
    does: 'Upload one full copy of a database now.',
    usage: 'DB -b URL [options]',
    examples: ['walsync snapshot app.db -b s3://bucket/backups'],
    own: (command) => command.argument('<database>', DATABASE).option('--name <name>', NAME),
  })
}

function restore(): Command {
  return define('restore', {
    does: 'Restore a database from a replica, or every database of a store.',
    usage: 'NAME -b URL -o FILE | --all -b URL -o FOLDER',
    examples: [
      'walsync restore app -b s3://bucket/backups -o app.db',
      'walsync restore app -b ./replica -o old.db --timestamp "10m ago"',
      'walsync restore app -b ./replica -o old.db --txid 42 --dry-run',
      'walsync restore app -b ./replica -o app.db --if-missing --if-replica-exists',
      'walsync restore --all -b s3://bucket/backups -o /srv/databases',
    ],
    own: (command) =>
      command
        .argument('[name]', ONE_REPLICA)
        .requiredOption(
          '-o, --output <path>',
          'Output file, or with --all a folder. Files must not exist unless --force is given.',
        )
        .option('--all', 'Restore every replica of the store: each to NAME.db in the folder.')
        .option(
          '--point-in-time <time>',
          'Restore the state at a time: RFC 3339, or like "10m ago" or "yesterday 14:00".',
        )
        .option('--timestamp <time>', 'The same, under the name that Litestream gives it.')
        .option(
          '--txid <txid>',
          'Restore the state after a transaction: decimal, 0x and hex, or 16 hex digits.',
        )
        .option('--force', 'Replace an existing file and its -wal, -shm and -journal.')
        .option('--if-missing', 'Do nothing, and exit with 0, if the output file exists.')
        .option('--if-replica-exists', 'Do nothing, and exit with 0, if there is no such replica.')
        .option('--mode <octal>', 'Permissions (default: of the replaced file, else by the umask).')
        .option('--owner <uid:gid>', 'Owner, in numbers (default: of the replaced file).')
        .option('--dry-run', 'Print the restore plan and write nothing.'),
  })
}

function list(): Command {
  return define('list', {
    does: 'List the databases of a store and the times they can be restored to.',
    usage: '-b URL [options]',
    examples: ['walsync list -b s3://bucket/backups'],
  })
}

function status(): Command {
  return define('status', {
    does: 'Show what the watchers of this machine and user are doing.',
    usage: '[NAME...] [options]',
    examples: ['walsync status', 'walsync status app --max-lag 1m'],
    own: (command) => command.argument('[names...]', 'Replicas to show (default: all).'),
  })
}

function sync(): Command {
  return define('sync', {
    does: 'Return when everything committed until now is in the store.',
    usage: '[NAME...] [options]',
    examples: ['walsync sync app', 'walsync sync app --wait --timeout 10s'],
    own: (command) =>
      command
        .argument('[names...]', 'Replicas, as walsync status shows them (default: all).')
        .option('--wait', 'Wait for the next upload that is due instead of uploading immediately.'),
  })
}

function verify(): Command {
  return define('verify', {
    does: 'Check whether a replica is intact, and what cannot be restored from it.',
    usage: 'NAME... -b URL [options]',
    examples: [
      'walsync verify app -b s3://bucket/backups',
      'walsync verify --all --restore -b ./replica',
      "walsync verify app -b ./replica --assert 'SELECT count(*) > 0 FROM users' --report drill.html",
    ],
    own: (command) =>
      command
        .argument('[names...]', REPLICAS)
        .option('--all', ALL)
        .option('--quick', 'Check names and sizes only; read no object.')
        .option('--restore', 'Restore the newest state to a scratch file, and check that as well.')
        .option('--database <file>', 'Compare the restored pages with the live database.')
        .option(
          '--assert <sql>',
          'SQL that must be true in the restored copy; may be repeated.',
          repeated,
        )
        .option('--max-age <duration>', 'Fail if the newest state is older than this.')
        .option(
          '--report <file>',
          'Write a report: .html, .json, or .xml for JUnit; may be repeated.',
          repeated,
        ),
  })
}

function repair(): Command {
  return define('repair', {
    does: 'Give a damaged replica a new base from its database. Deletes nothing.',
    usage: 'DB -b URL [options]',
    examples: ['walsync repair app.db -b s3://bucket/backups'],
    own: (command) =>
      command
        .argument('<database>', DATABASE)
        .option('--name <name>', NAME)
        .option('--force', 'Repair even if the newest state can be restored.'),
  })
}

function compact(): Command {
  return define('compact', {
    does: 'Merge small files of replicas into larger ones. Deletes nothing.',
    usage: 'NAME... -b URL [options]',
    examples: ['walsync compact app -b s3://bucket/backups --dry-run'],
    own: (command) =>
      command
        .argument('[names...]', REPLICAS)
        .option('--all', ALL)
        .option('--dry-run', 'Print what would be merged and write nothing.'),
  })
}

function prune(): Command {
  return define('prune', {
    does: 'Delete what the retention rules do not keep.',
    usage: 'NAME... -b URL [options]',
    examples: [
      'walsync prune app -b s3://bucket/backups --keep-for 30d --dry-run',
      'walsync prune --all -b ./replica --keep-daily 7 --keep-monthly 12',
    ],
    own: (command) =>
      command
        .argument('[names...]', REPLICAS)
        .option('--all', ALL)
        .option('--dry-run', 'Print what would be deleted and what would stay; delete nothing.'),
  })
}

function unlock(): Command {
  return define('unlock', {
    does: 'Release the claim of a writer that is gone, for --single-writer strict.',
    usage: 'NAME -b URL [options]',
    examples: ['walsync unlock app -b s3://bucket/backups'],
    own: (command) => command.argument('<name>', ONE_REPLICA),
  })
}

function config(): Command {
  return define('config', {
    does: 'Check a configuration file, or print its JSON schema.',
    usage: 'check|schema [options]',
    examples: [
      'walsync config check --config /etc/walsync.yml',
      'walsync config schema > walsync.schema.json',
    ],
    own: (command) => command.argument('<action>', 'check or schema.'),
  })
}

function doctor(): Command {
  return define('doctor', {
    does: 'Test a store: credentials, permissions, conditional writes, clock, latency.',
    usage: '-b URL [options]',
    examples: ['walsync doctor -b s3://bucket/backups', 'walsync doctor -b s3://bucket --race 50'],
    own: (command) =>
      command.option(
        '--race <n>',
        'Also send this many concurrent create-only writes of one key.',
        '0',
      ),
  })
}

const NAME = 'Name of the replica (default: the file name without extension).'
const DATABASE = 'A SQLite file in WAL mode.'
const ONE_REPLICA = 'Name of the replica, as walsync list shows it.'
const REPLICAS = 'Names of replicas, as walsync list shows them.'
const ALL = 'Every replica of the store.'

interface Definition {
  readonly does: string
  readonly usage: string
  readonly examples: readonly string[]
  /** Adds the operands, and the flags that are no settings. */
  readonly own?: (command: Command) => Command
}

/** A command with its own flags, those of its settings in their groups, and examples at the end. */
function define(name: CommandName, { does, usage, examples, own }: Definition): Command {
  const lines = examples.map((example) => `\n  $ ${example}`).join('')
  const command = new Command(name)
    .description(does)
    .usage(usage)
    .addHelpText('after', `\nExamples:${lines}`)
  own?.(command)
  for (const [setting] of settingsOf(name)) command.addOption(settingOption(setting))
  return command
}

/** The flag of a setting. */
export function settingOption(name: SettingName): Option {
  const { kind, default: standard, help, short, group } = settingRow(name)
  const flags = [short === undefined ? flagOf(name) : `${short}, ${flagOf(name)}`, kind.placeholder]
  const option = new Option(flags.filter((part) => part !== undefined).join(' '), help)
  if (typeof standard === 'string') option.default(standard, standard)
  option.helpGroup(`${group}:`)
  return kind.isRepeatable ? option.argParser(repeated) : option
}

function repeated(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value]
}
