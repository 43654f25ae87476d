import { dirname } from 'node:path'
import { z } from 'zod'
import { misspeltVariables } from './args/environment.ts'
import { parseFlags, settings } from './args/flags.ts'
import type { Invocation } from './args/program.ts'
import { UsageError } from './args/usage-error.ts'
import type { CommandContext } from './command-context.ts'
import type { Backend } from './composition/backend.ts'
import { createContainer } from './composition/container.ts'
import { createValidateStore } from './composition/open-store.ts'
import { findPlugins, loadPlugins } from './composition/plugins.ts'
import { TOKENS } from './composition/tokens.ts'
import type { Config } from './config/config.ts'
import { createLogger } from './output/logger.ts'
import { Output } from './output/output.ts'
import { packageVersion } from './package-version.ts'

const globalFlags = z.object({
  ...settings('endpoint', 'region', 'plugin', 'logLevel', 'logFormat'),
  json: z.boolean().optional(),
  quiet: z.boolean().optional(),
})

/**
 * Composes what the command needs, runs it, and closes what it opened. What is typed is stronger
 * than the configuration file.
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
  const { fromEnvironment } = invocation
  const cwd = workingFolder()
  const { env } = process
  const config = await configOf(invocation, cwd)
  const terminal = process.stderr.isTTY === true
  const level = invocation.given.has('logLevel') ? flags.logLevel : config?.logLevel
  const logger = await createLogger({
    level: flags.quiet === true ? 'error' : (level ?? flags.logLevel),
    format: flags.logFormat ?? config?.logFormat ?? (terminal ? 'pretty' : 'json'),
  })
  // `config` only looks: code that a file names must not run because somebody checks the file.
  const isLookOnly = invocation.command === 'config'
  const plugins = await pluginsOf(config, flags.plugin ?? [], cwd, isLookOnly)
  const { endpoint = config?.endpoint, region = config?.region } = flags
  const container = createContainer({
    surroundings: {
      cwd,
      env,
      endpoint,
      region,
      isAmbient: {
        endpoint: fromEnvironment.has('endpoint'),
        region: fromEnvironment.has('region'),
      },
    },
    logger,
    plugins,
  })
  for (const { name, meant } of misspeltVariables(env)) {
    logger.warn(`the environment variable ${name} is not a setting; did you mean ${meant}?`)
  }
  for (const { name, schemes } of plugins) logger.info({ plugin: name, schemes }, 'plugin loaded')
  const shutdown = container.get(TOKENS.ShutdownStack)
  const json = flags.json === true
  const context: CommandContext = {
    cwd,
    env,
    version: packageVersion(),
    output: new Output(process.stdout, {
      json,
      onError: invocation.command === 'watch' ? (error) => logger.warn(lost(error)) : undefined,
    }),
    logger,
    config,
    openStore: container.get(TOKENS.OpenStore),
    validateStore: createValidateStore(
      container.getAll(TOKENS.Backend),
      container.get(TOKENS.Surroundings),
      isLookOnly && [...(config?.plugins ?? []), ...(flags.plugin ?? [])].length > 0,
    ),
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

function workingFolder(): string {
  try {
    return process.cwd()
  } catch (cause) {
    throw new UsageError('The working folder has been deleted.', 'Change to another folder.', {
      cause,
    })
  }
}

function lost({ message }: Error): string {
  return `an event could not be written to stdout: ${message}`
}

/** Only `watch` and `config check` have a file; one in the working folder counts if no database is named. */
async function configOf(
  { command, operands, flags, fromEnvironment }: Invocation,
  cwd: string,
): Promise<Config | undefined> {
  const file = typeof flags.config === 'string' ? flags.config : undefined
  const isCheck = command === 'config' && operands[0] === 'check'
  const search = isCheck || (command === 'watch' && operands.length === 0)
  if (!search && (command !== 'watch' || file === undefined)) return undefined
  const { loadConfig } = await import('./config/load-config.ts')
  return await loadConfig({
    file,
    isFromEnvironment: fromEnvironment.has('config'),
    cwd,
    env: process.env,
    search,
  })
}

/** A plugin that the file names is looked for from the file's own folder. */
async function pluginsOf(
  config: Config | undefined,
  typed: readonly string[],
  cwd: string,
  isLookOnly: boolean,
): Promise<Backend[]> {
  const written = config?.plugins ?? []
  const others = typed.filter((name) => !written.includes(name))
  if (isLookOnly) {
    if (config !== undefined) findPlugins(written, dirname(config.path))
    findPlugins(others, cwd)
    return []
  }
  return [
    ...(config === undefined ? [] : await loadPlugins(written, dirname(config.path))),
    ...(await loadPlugins(others, cwd)),
  ]
}

/** Commands are imported when used: `list` needs no engine. */
async function dispatch(
  context: CommandContext,
  invocation: Invocation,
  child: readonly string[],
): Promise<number> {
  const { command, operands, flags } = invocation
  switch (command) {
    case 'watch':
      return (await import('./commands/watch.ts')).watch(context, invocation, child)
    case 'snapshot':
      return (await import('./commands/snapshot.ts')).snapshot(context, operands, flags)
    case 'restore':
      return (await import('./commands/restore.ts')).restore(context, operands, flags)
    case 'list':
      return (await import('./commands/list.ts')).list(context, flags)
    case 'status':
      return (await import('./commands/status.ts')).status(context, operands, flags)
    case 'sync':
      return (await import('./commands/sync.ts')).sync(context, operands, flags)
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
      return (await import('./commands/config.ts')).config(context, invocation)
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctor(context, flags)
  }
}
