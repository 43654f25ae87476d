import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { splitChildCommand } from './child-command.ts'
import type { CommandContext } from './command-context.ts'
import { createContainer } from './composition/container.ts'
import { TOKENS } from './composition/tokens.ts'
import { oneOf, parseFlags, text } from './flags.ts'
import { createLogger, LOG_FORMATS, LOG_LEVELS } from './logger.ts'
import { Output } from './output.ts'
import { loadPlugins } from './plugins.ts'
import { type Invocation, parseCommandLine } from './program.ts'
import { errorReport, errorText } from './report-error.ts'
import { endSignals } from './signals.ts'

/** Runs one command line and ends the process: the only place that does. */
export async function main(argv: readonly string[]): Promise<void> {
  const signal = endSignals((exitCode) => process.exit(exitCode))
  process.on('uncaughtException', (error) => process.exit(fail(error, argv)))
  let exitCode: number
  try {
    exitCode = await run(argv, signal)
  } catch (error) {
    exitCode = fail(error, argv)
  }
  // Not a natural end: open SQLite connections must not be closed on the way out (the last close
  // deletes the WAL, and the next start could not prove that it continues here).
  process.exit(exitCode)
}

async function run(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const { own, child } = splitChildCommand(argv)
  const invocation = parseCommandLine(own, packageVersion())
  if (invocation === undefined) return 0
  const flags = parseFlags(GLOBAL_FLAGS, invocation.flags)
  const cwd = process.cwd()
  const level = flags.quiet === true ? 'error' : flags.logLevel
  const format = flags.logFormat ?? (process.stderr.isTTY === true ? 'pretty' : 'json')
  const logger = createLogger({ level, format })
  const plugins = await loadPlugins(flags.plugin ?? [], cwd)
  for (const plugin of plugins) logger.info({ plugin: plugin.name }, 'plugin loaded')
  const { endpoint, region } = flags
  const surroundings = { cwd, env: process.env, endpoint, region }
  const container = createContainer({ surroundings, logger, plugins })
  const shutdown = container.get(TOKENS.ShutdownStack)
  const json = flags.json === true
  const context: CommandContext = {
    cwd,
    output: new Output(process.stdout, { json }),
    logger,
    openStore: container.get(TOKENS.OpenStore),
    signal,
    progress: process.stderr.isTTY === true && flags.quiet !== true && !json,
  }
  try {
    return await dispatch(context, invocation, child)
  } finally {
    await shutdown.unwind()
  }
}

/** Commands are imported when used: `list` needs no engine, `--help` needs nothing. */
async function dispatch(
  context: CommandContext,
  { command, operands, flags }: Invocation,
  child: readonly string[],
): Promise<number> {
  switch (command) {
    case 'watch':
      return (await import('./commands/watch.ts')).watch(context, operands, flags, child)
    case 'snapshot':
      return (await import('./commands/snapshot.ts')).snapshot(context, operands, flags)
    case 'restore':
      return (await import('./commands/restore.ts')).restore(context, operands, flags)
    case 'list':
      return (await import('./commands/list.ts')).list(context, flags)
  }
}

const GLOBAL_FLAGS = z.object({
  endpoint: text('the URL of a store').optional(),
  region: text('the name of a region').optional(),
  plugin: z.array(z.string()).optional(),
  json: z.boolean().optional(),
  quiet: z.boolean().optional(),
  logLevel: oneOf(LOG_LEVELS),
  logFormat: oneOf(LOG_FORMATS).optional(),
})

/** Exactly one error on stderr, and with `--json` the same as a line on stdout. */
function fail(error: unknown, argv: readonly string[]): number {
  const stack = wantsStack(argv)
  process.stderr.write(errorText(error, { stack }))
  const report = errorReport(error)
  if (argv.includes('--json')) process.stdout.write(`${JSON.stringify({ error: report })}\n`)
  return report.exitCode
}

/** From the words themselves: the command line may be what is wrong. */
function wantsStack(argv: readonly string[]): boolean {
  return argv.some((word, i) => {
    const level = word === '--log-level' ? argv[i + 1] : /^--log-level=(.*)$/.exec(word)?.[1]
    return level === 'debug' || level === 'trace'
  })
}

function packageVersion(): string {
  const path = new URL('../../package.json', import.meta.url)
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path, 'utf8'))).version
}
