import { z } from 'zod'
import type { CommandContext } from './command-context.ts'
import { createContainer } from './composition/container.ts'
import { TOKENS } from './composition/tokens.ts'
import { oneOf, parseFlags, text } from './flags.ts'
import { LOG_FORMATS, LOG_LEVELS } from './log-options.ts'
import { createLogger } from './logger.ts'
import { Output } from './output.ts'
import { loadPlugins } from './plugins.ts'
import type { Invocation } from './program.ts'

const globalFlags = z.object({
  endpoint: text('the URL of a store').optional(),
  region: text('the name of a region').optional(),
  plugin: z.array(z.string()).optional(),
  json: z.boolean().optional(),
  quiet: z.boolean().optional(),
  logLevel: oneOf(LOG_LEVELS),
  logFormat: oneOf(LOG_FORMATS).optional(),
})

/**
 * Composes what the command needs, runs it, and closes what it opened.
 *
 * @param child the application's words behind `watch … --`
 * @returns the exit code
 */
export async function runCommand(
  invocation: Invocation,
  child: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const flags = parseFlags(globalFlags, invocation.flags)
  const cwd = process.cwd()
  const terminal = process.stderr.isTTY === true
  const logger = await createLogger({
    level: flags.quiet === true ? 'error' : flags.logLevel,
    format: flags.logFormat ?? (terminal ? 'pretty' : 'json'),
  })
  const plugins = await loadPlugins(flags.plugin ?? [], cwd)
  const { endpoint, region } = flags
  const surroundings = { cwd, env: process.env, endpoint, region }
  const container = createContainer({ surroundings, logger, plugins })
  for (const { name, schemes } of plugins) logger.info({ plugin: name, schemes }, 'plugin loaded')
  const shutdown = container.get(TOKENS.ShutdownStack)
  const json = flags.json === true
  const context: CommandContext = {
    cwd,
    output: new Output(process.stdout, { json }),
    logger,
    openStore: container.get(TOKENS.OpenStore),
    signal,
    terminal: terminal && flags.quiet !== true && !json ? process.stderr : undefined,
  }
  let exitCode: number
  try {
    exitCode = await dispatch(context, invocation, child)
  } catch (error) {
    await shutdown.unwind().catch((err) => logger.debug({ err }, 'closing failed, too'))
    throw error
  }
  await shutdown.unwind()
  return exitCode
}

/** Commands are imported when used: `list` needs no engine. */
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
    case 'status':
      return (await import('./commands/status.ts')).status(context, operands, flags)
    case 'verify':
      return (await import('./commands/verify.ts')).verify(context, operands, flags)
    case 'repair':
      return (await import('./commands/repair.ts')).repair(context, operands, flags)
    case 'compact':
      return (await import('./commands/compact.ts')).compact(context, operands, flags)
    case 'prune':
      return (await import('./commands/prune.ts')).prune(context, operands, flags)
    case 'unlock':
      return (await import('./commands/unlock.ts')).unlock(context, operands, flags)
    case 'config':
      return (await import('./commands/config.ts')).config(context, operands, flags)
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctor(context, flags)
  }
}
