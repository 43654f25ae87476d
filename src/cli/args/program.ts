import { Command, CommanderError } from 'commander'
import { COMMAND_DEFINITIONS, settingOption } from './command-definitions.ts'
import { COMMANDS, type CommandName } from './command-names.ts'
import { settingsOf } from './setting-lookup.ts'
import { UsageError } from './usage-error.ts'

/** A parsed command line; flag values are still the text that the user typed. */
export interface Invocation {
  readonly command: CommandName
  readonly operands: readonly string[]
  readonly flags: Readonly<Record<string, unknown>>
  /** Names of the flags that were typed; all others have their default. */
  readonly given: ReadonlySet<string>
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
    .option('--json', 'machine-readable results: one JSON value a line on stdout')
    .option('-q, --quiet', 'no progress, and only errors in the log')
    .addHelpText('after', EXIT_CODES)
  for (const [name] of settingsOf('all')) program.addOption(settingOption(name))
  refuseRepeated(program)
  for (const define of COMMAND_DEFINITIONS) {
    const command = define()
    command.copyInheritedSettings(program)
    refuseRepeated(command)
    command.action((...args: unknown[]) => {
      const operands = args.slice(0, -2).flat() as string[]
      const flags = command.optsWithGlobals<Record<string, unknown>>()
      const given = new Set(Object.keys(flags).filter((name) => isGiven(command, name)))
      found({ command: command.name() as CommandName, operands, flags, given })
    })
    program.addCommand(command)
  }
  return program
}

/** The second of two values would win unseen: two `-b` look like two stores. */
function refuseRepeated(command: Command): void {
  for (const option of command.options) {
    if (!option.required || option.parseArg !== undefined) continue
    let wasGiven = false
    command.on(`option:${option.name()}`, () => {
      const flag = option.long ?? option.flags
      if (wasGiven) throw new UsageError(`${flag} was given twice.`, `give ${flag} once`)
      wasGiven = true
    })
  }
}

function isGiven(command: Command, flag: string): boolean {
  return command.getOptionValueSourceWithGlobals(flag) === 'cli'
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
