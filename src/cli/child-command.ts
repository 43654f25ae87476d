import { COMMANDS } from './program.ts'

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
  const command = argv.find((word) => COMMANDS.some((name) => name === word))
  if (cut < 0 || command !== 'watch') return { own: argv, child: [] }
  return { own: argv.slice(0, cut), child: argv.slice(cut + 1) }
}
