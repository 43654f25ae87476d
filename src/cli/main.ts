import { commandOf, refuseMissingChild, splitChildCommand } from './args/child-command.ts'
import { parseCommandLine } from './args/program.ts'
import { flush, trackWriteError } from './output/flush-stdio.ts'
import { jsonLine } from './output/json-line.ts'
import { errorReport, errorText } from './output/report-error.ts'
import { packageVersion } from './package-version.ts'
import { parentLink } from './watch/parent-link.ts'
import { endSignals } from './watch/signals.ts'

/** A watcher must end in time, whoever reads its events. In milliseconds. */
const WATCH_DRAIN_MS = 1000

const UNFINISHED = 'Nothing is left to wait for, but the command has not finished.'

/** Runs one command line and ends the process: the only place that does. */
export async function main(argv: readonly string[]): Promise<void> {
  process.on('uncaughtException', (error) => process.exit(fail(error, argv)))
  // Node would end with success once nothing is left to wait for, whatever has not been done yet.
  process.on('beforeExit', () => process.exit(fail(new Error(UNFINISHED), argv)))
  const signal = endSignals((exitCode) => process.exit(exitCode))
  parentLink(process.env)
  const outputError = trackWriteError(process.stdout)
  let exitCode: number
  try {
    exitCode = await run(argv, signal)
  } catch (error) {
    exitCode = fail(error, argv)
  }
  const until = patience(argv, signal)
  await Promise.all([process.stdout, process.stderr].map((stream) => flush(stream, until)))
  const loss = outputError()
  if (exitCode === 0 && loss !== undefined) exitCode = fail(loss, argv)
  // Not a natural end: open SQLite connections must not be closed on the way out (the last close
  // deletes the WAL, and the next start could not prove that it continues here).
  process.exit(exitCode)
}

async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const split = splitChildCommand(argv)
  const { own, child } = split
  const invocation = parseCommandLine(own, packageVersion(), process.env)
  if (invocation === undefined) return 0
  refuseMissingChild(argv, split)
  // Later, because `--help` and a mistyped flag should not wait for the container and the logger.
  const { runCommand } = await import('./run-command.ts')
  return await runCommand(invocation, child, signal)
}

/** A reader such as `less` may take its time, until the user gives up. */
function patience(argv: readonly string[], signal: AbortSignal): AbortSignal {
  if (commandOf(argv) !== 'watch') return signal
  return AbortSignal.timeout(WATCH_DRAIN_MS)
}

/** Exactly one error on stderr, and with `--json` the same as a line on stdout. */
function fail(error: unknown, argv: readonly string[]): number {
  const { own } = splitChildCommand(argv)
  process.stderr.write(errorText(error, { stack: wantsStack(own) }))
  const report = errorReport(error)
  if (own.includes('--json')) process.stdout.write(jsonLine({ error: report }))
  return report.exitCode
}

/** From the words themselves: the command line may be what is wrong. */
function wantsStack(argv: readonly string[]): boolean {
  const words = [...argv, `--log-level=${process.env.WALSYNC_LOG_LEVEL ?? ''}`]
  return words.some((word, i) => {
    const level = word === '--log-level' ? words[i + 1] : /^--log-level=(.*)$/.exec(word)?.[1]
    return level === 'debug' || level === 'trace'
  })
}
