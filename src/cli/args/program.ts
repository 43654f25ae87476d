import { Command, CommanderError } from 'commander'
import { COMMAND_DEFINITIONS, settingOption } from './command-definitions.ts'
import { COMMANDS, type CommandName } from './command-names.ts'
import { type Environment, settingsFromEnvironment } from './environment.ts'
import { settingsOf } from './setting-lookup.ts'
import { UsageError } from './usage-error.ts'

/** A parsed command line; flag values are still the text that the user typed. */
export interface Invocation {
  readonly command: CommandName
  readonly operands: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
  /** Names of the flags that were typed or that the environment gives; all others have their default. */
  readonly given: ReadonlySet<string>
  /** Those of `given` that the environment gives. */
  readonly fromEnvironment: ReadonlySet<string>
}

/**
 * Reads the command line, and the settings that the environment gives.
 *
 * @returns undefined if it was answered already, by `--help` or `--version`
 * @throws UsageError for an unknown command, an unknown flag, a missing operand, a bad variable
 */
export function parseCommandLine(
  argv: readonly string[],
  version: string,
  env: Environment,
): Invocation | undefined {
  let found: Invocation | undefined
  const program = buildProgram(argv, version, env, (invocation) => {
    found = invocation
  })
  try {
    program.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return undefined
    if (error.code === 'commander.help') throw new UsageError(noCommand(argv), HELP)
    throw new UsageError(sentence(error.message), helpFor(argv), { cause: error })
  }
  return found
}

const HELP = 'Run walsync --help for the commands.'
/** Columns of the smallest terminal that is in use. */
const HELP_WIDTH = 80

function buildProgram(
  argv: readonly string[],
  version: string,
  env: Environment,
  found: (invocation: Invocation) => void,
): Command {
  const program = new Command('walsync')
    .description('Replicates live SQLite databases to object storage and restores them.')
    .usage('COMMAND [options]')
    .version(version, '--version', 'Print the version.')
    .helpOption('-h, --help', 'Show this help.')
    .helpCommand('help [command]', 'Show the help of a command.')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .configureHelp({ showGlobalOptions: true, helpWidth: HELP_WIDTH })
  for (const [name] of settingsOf('all')) program.addOption(settingOption(name))
  program
    .option('--json', 'Print results as JSON on stdout, one value a line.')
    .option('-q, --quiet', 'Show no progress, and log errors only.')
    .addHelpText('after', AFTER_HELP)
  refuseRepeated(program)
  for (const name of named(argv)) {
    const command = COMMAND_DEFINITIONS[name]()
    command.copyInheritedSettings(program)
    refuseRepeated(command)
    command.action((...args: unknown[]) => {
      const operands = args.slice(0, -2).flat() as string[]
      found(withEnvironment(command, operands, env))
    })
    program.addCommand(command)
  }
  return program
}

/** All commands, or only the one that comes first: to define the others would delay each start by milliseconds. */
function named([first]: readonly string[]): readonly CommandName[] {
  const command = COMMANDS.find((name) => name === first)
  return command === undefined ? COMMANDS : [command]
}

/** A flag is stronger than its variable, and that is stronger than a configuration file. */
function withEnvironment(
  command: Command,
  operands: readonly string[],
  env: Environment,
): Invocation {
  const flags = command.optsWithGlobals<Record<string, unknown>>()
  const typed = new Set(Object.keys(flags).filter((name) => isTyped(command, name)))
  const name = command.name() as CommandName
  // `config check` judges what `watch` would do, with the settings that it would have.
  const settings = settingsFromEnvironment(operands[0] === 'check' ? 'watch' : name, env, typed)
  return {
    command: name,
    operands,
    flags: { ...flags, ...Object.fromEntries(settings) },
    given: new Set([...typed, ...settings.keys()]),
    fromEnvironment: new Set(settings.keys()),
  }
}

/** The second of two values would win unseen: two `-b` look like two stores. */
function refuseRepeated(command: Command): void {
  for (const option of command.options) {
    if (!option.required || option.parseArg !== undefined) continue
    let wasGiven = false
    command.on(`option:${option.name()}`, () => {
      const flag = option.long ?? option.flags
      if (wasGiven) throw new UsageError(`${flag} was given twice.`, `Give ${flag} once.`)
      wasGiven = true
    })
  }
}

function isTyped(command: Command, flag: string): boolean {
  return command.getOptionValueSourceWithGlobals(flag) === 'cli'
}

const AFTER_HELP = `
Every flag that sets something has an environment variable: WALSYNC_BUCKET for
--bucket, WALSYNC_SYNC_INTERVAL for --sync-interval. A flag overrides it, and it
overrides the configuration file.

Exit codes: 0 success, 1 other error, 2 usage, 3 database, 4 store, 5 integrity,
6 nothing to restore there, 75 another writer took over.`

function noCommand(argv: readonly string[]): string {
  const name = argv[0] === 'help' ? argv[1] : undefined
  return name === undefined ? 'No command was given.' : `There is no command ${name}.`
}

function helpFor(argv: readonly string[]): string {
  const command = COMMANDS.find((name) => argv.includes(name))
  return command === undefined ? HELP : `Run walsync ${command} --help.`
}

/** Commander's `error: missing required argument 'x'` as a sentence. */
function sentence(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
    // The value may be a secret behind a misspelt flag.
    .replace(/^(unknown option '[^'=]+)=.*'$/, "$1'")
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.)?]$/.test(text) ? '' : '.'}`
}
