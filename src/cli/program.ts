import { Command, CommanderError, Option } from 'commander'
import { LOG_FORMATS, LOG_LEVELS } from './log-options.ts'
import { UsageError } from './usage-error.ts'

export const COMMANDS = ['watch', 'snapshot', 'restore', 'list', 'doctor'] as const
export type CommandName = (typeof COMMANDS)[number]

/** A parsed command line; flag values are still the text that the user typed. */
export interface Invocation {
  readonly command: CommandName
  readonly operands: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
}

/**
 * Reads the command line.
 *
 * @returns undefined if it was answered already, by `--help` or `--version`
 * @throws UsageError for an unknown command, an unknown flag, a missing operand or value
 */
export function parseCommandLine(argv: readonly string[], version: string): Invocation | undefined {
  let found: Invocation | undefined
  const program = buildProgram(version, (invocation) => {
    found = invocation
  })
  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return undefined
    if (error.code === 'commander.help') throw new UsageError('No command was given.', HELP)
    throw new UsageError(sentence(error.message), helpFor(argv), { cause: error })
  }
  return found
}

const HELP = 'run walsync --help for the commands'

function buildProgram(version: string, found: (invocation: Invocation) => void): Command {
  const program = new Command('walsync')
    .description('Replicates live SQLite databases to object storage and restores them.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .configureHelp({ showGlobalOptions: true, helpWidth: 100 })
    .option('--endpoint <url>', "the store's address, for S3-compatible stores and emulators")
    .option('--region <region>', "the store's region")
    .addOption(
      new Option(
        '--plugin <name>',
        'a package or module that brings a store of its own; may be given again',
      ).argParser((name: string, earlier: string[] = []) => [...earlier, name]),
    )
    .option('--json', 'machine-readable results: one JSON value a line on stdout')
    .option('-q, --quiet', 'no progress, and only errors in the log')
    .addOption(
      new Option('--log-level <level>', `how much to log: ${LOG_LEVELS.join(', ')}`).default(
        'info',
      ),
    )
    .option('--log-format <format>', `${LOG_FORMATS.join(' or ')} (default: pretty on a terminal)`)
    .addHelpText('after', EXIT_CODES)
  for (const command of [watch(), snapshot(), restore(), list(), doctor()]) {
    command.copyInheritedSettings(program)
    command.action((...args: unknown[]) => {
      const operands = args.slice(0, -2).flat() as string[]
      const flags = command.optsWithGlobals<Record<string, unknown>>()
      found({ command: command.name() as CommandName, operands, flags })
    })
    program.addCommand(command)
  }
  return program
}

function watch(): Command {
  return withBucket(new Command('watch'))
    .description('Replicate databases as they change, until SIGTERM or SIGINT.')
    .usage('[options] DB... -b URL [-- COMMAND [ARGS...]]')
    .argument('<databases...>', 'SQLite files in WAL mode')
    .option(
      '--name <name>',
      'name of the replica, for one database (default: its file name without extension)',
    )
    .option('--sync-interval <duration>', 'at most one object a database in this time', '1s')
    .option(
      '--poll-interval <duration>',
      'look for changes this often where no file event came',
      '1s',
    )
    .option(
      '--snapshot-interval <duration>',
      'time between full copies, if anything changed; 0: none after the first',
      '1h',
    )
    .option('--max-wal-size <size>', 'checkpoint when the WAL is larger', '64MB')
    .option('--spool-dir <folder>', 'where changes wait when the store is down and the WAL is full')
    .option('--max-spool-size <size>', 'the most that may wait there, for each database', '1GB')
    .option('--shutdown-timeout <duration>', 'the most that the final sync may take', '30s')
    .option('--no-probe', 'do not try at start what the store can do')
    .option(
      '--require-fencing',
      'refuse to start unless the store is seen to enforce create-only writes',
    )
}

function snapshot(): Command {
  return withBucket(new Command('snapshot'))
    .description('Upload one full copy of a database now.')
    .usage('[options] DB -b URL')
    .argument('<database>', 'a SQLite file in WAL mode')
    .option('--name <name>', 'name of the replica (default: the file name without extension)')
}

function restore(): Command {
  return withBucket(new Command('restore'))
    .description('Bring a database back.')
    .usage('[options] NAME -b URL -o FILE')
    .argument('<name>', 'name of the replica, as walsync list shows it')
    .requiredOption('-o, --output <file>', 'the file to write; must not exist yet')
    .option('--point-in-time <time>', 'state at a time: RFC 3339, or like "10m ago"')
    .option('--txid <txid>', 'state after a transaction: 16 hex digits')
    .option('--force', 'replace an existing file')
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

function doctor(): Command {
  return withBucket(new Command('doctor'))
    .description('Try a store: credentials, permissions, conditional writes, clock, latency.')
    .usage('[options] -b URL')
}

function withBucket(command: Command): Command {
  return command.requiredOption(
    '-b, --bucket <url>',
    'where the replicas are: s3://, tigris://, gs://, az:// or file:// URL, a path that starts with / or ., or an S3 bucket',
  )
}

const EXIT_CODES = `
Exit codes: 0 ok, 1 other, 2 usage, 3 database, 4 store, 5 integrity, 6 nothing to restore there,
75 another writer took over. Every command has its own --help.`

function helpFor(argv: readonly string[]): string {
  const command = COMMANDS.find((name) => argv.includes(name))
  return command === undefined ? HELP : `run walsync ${command} --help`
}

/** Commander's `error: missing required argument 'x'` as a sentence. */
function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ')
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.)?]$/.test(text) ? '' : '.'}`
}
