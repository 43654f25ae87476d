import { resolve } from 'node:path'
import { z } from 'zod'
import { parseFlags, settings } from '../args/flags.ts'
import type { CommandContext } from '../command-context.ts'
import { ExitCode } from '../output/exit-code.ts'
import { askWatcher, askWatchers, type WatcherAnswers } from '../status/ask-watchers.ts'
import { renderStatus } from '../status/render-status.ts'
import { assertSocketPath, runFolder } from '../status/run-folder.ts'
import { isInTrouble } from '../status/status-document.ts'

const statusFlags = z.object(settings('socket', 'maxLag'))

/**
 * `walsync status`: what the watchers of this machine and user are doing. Asks them, not the
 * stores.
 *
 * @returns 0 if everything requested is well; 1 if something is in trouble, is not watched, or
 *   nobody answers
 */
export async function status(
  context: CommandContext,
  names: readonly string[],
  rawFlags: Readonly<Record<string, unknown>>,
): Promise<number> {
  const { socket, maxLag } = parseFlags(statusFlags, rawFlags)
  const answers = await ask(context, socket)
  const asked = names.length === 0 ? answers : only(answers, names)
  const databases = asked.watchers.flatMap((watcher) => watcher.databases)
  const missing = names.filter((name) => !databases.some((database) => database.name === name))
  const nobody =
    answers.watchers.length + answers.failures.length > 0
      ? []
      : [`No watcher answers${socket === undefined ? '' : ` at ${socket}`}.`]
  const lines = [
    renderStatus(asked),
    ...nobody,
    ...missing.map((name) => `No watcher replicates ${name}.`),
  ]
  context.output.result({ ...asked, missing }, lines.filter((line) => line !== '').join('\n'))
  const troubled = databases.filter((database) => isInTrouble(database, { maxLagMs: maxLag }))
  const isWell = [nobody, missing, asked.failures, troubled]
  return isWell.every(({ length }) => length === 0) ? ExitCode.ok : ExitCode.other
}

async function ask(
  { cwd, env, signal }: CommandContext,
  socket: string | undefined,
): Promise<WatcherAnswers> {
  if (socket === undefined) return await askWatchers(runFolder(env), signal)
  const path = resolve(cwd, socket)
  assertSocketPath(path)
  return await askWatcher(path, signal)
}

function only({ watchers, failures }: WatcherAnswers, names: readonly string[]): WatcherAnswers {
  const kept = watchers.map((watcher) => ({
    ...watcher,
    databases: watcher.databases.filter(({ name }) => names.includes(name)),
  }))
  return { watchers: kept.filter(({ databases }) => databases.length > 0), failures }
}
