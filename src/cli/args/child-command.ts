import { COMMANDS, type CommandName } from './command-names.ts'
import { UsageError } from './usage-error.ts'

/** The command line, cut at the first `--` of a `watch`: what follows is the application's own. */
export interface SplitCommandLine {
  readonly own: readonly string[]
  /** Empty without an application. */
  readonly child: readonly string[]
}

/**
 * Commander would take the application's words for more databases, so they are cut off before it
 * sees them. For other commands `--` keeps its usual meaning.
 */
export function splitChildCommand(argv: readonly string[]): SplitCommandLine {
  const cut = argv.indexOf('--')
  if (cut < 0 || commandOf(argv) !== 'watch') return { own: argv, child: [] }
  return { own: argv.slice(0, cut), child: argv.slice(cut + 1) }
}

/** The command that a command line is about, right or wrong as it may be. */
export function commandOf(argv: readonly string[]): CommandName | undefined {
  const isCommand = (word: string): word is CommandName => COMMANDS.some((name) => name === word)
  return argv.find(isCommand)
}

/**
 * An empty shell variable behind `--` would leave the application out, and its user none the wiser.
 *
 * @throws UsageError if nothing follows `--`
 */
export function refuseMissingChild(
  argv: readonly string[],
  { own, child }: SplitCommandLine,
): void {
  if (own.length === argv.length || child.length > 0) return
  throw new UsageError('There is no command after --.', 'Name the application, or leave -- out.')
}
